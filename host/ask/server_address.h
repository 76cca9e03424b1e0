// Addresses of servers, and which key goes to which.
#pragma once

#include <string>

namespace sllmr {

/// Throws Error unless `url` is an http or https address without a user name or password in it, which would
/// end up in logs. Returns it without a trailing slash.
std::string checked_server_url(const std::string& url);

/// Whether the address is of this machine by its spelling (localhost, 127.0.0.0/8, ::1); what a name server
/// says does not count.
bool is_loopback(const std::string& url);

/// Throws Error where a key would go to `url` in the clear: by plain HTTP to another machine than this one.
void require_private(const std::string& url);

/// Whether a header can hold the key: a line break would begin another header.
bool fits_header(const std::string& key);

/// The key for a server and where it came from.
struct ServerKey {
  std::string key;   // empty: none
  std::string note;  // what the user should know; mostly empty
};
/// The key of the environment variable `variable`. Where that is empty, OPENAI_API_KEY's, and that only for
/// https://api.openai.com. Throws Error for a variable that is named and not set, for a key that no header
/// can hold, and where the key would go over plain HTTP to another machine. No message holds the key.
ServerKey server_key(const std::string& url, const std::string& variable);

}  // namespace sllmr
