#include "host/ask/server_address.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "host/ask/redact.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

/// A part of an address as curl will understand it; empty where there is none.
std::string part_of(const std::string& url, CURLUPart part) {
  const std::unique_ptr<CURLU, UrlDeleter> parsed(curl_url());
  char* text = nullptr;
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK ||
      curl_url_get(parsed.get(), part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK)
    return {};
  std::string copy = text;
  curl_free(text);
  return copy;
}

bool same_name(const std::string& a, const char* b) {
  return ::strcasecmp(a.c_str(), b) == 0;
}

/// Whether a text may be the name of an environment variable and not a key that was given instead: by
/// convention a name has no small letters.
bool is_variable_name(std::string_view text) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  return !text.empty() && !(text[0] >= '0' && text[0] <= '9') &&
         text.find_first_not_of(kLetters) == text.npos;
}

}  // namespace

std::string checked_server_url(const std::string& url) {
  const auto scheme = url.find("://");
  const std::string name = url.substr(0, scheme == url.npos ? 0 : scheme);
  // The address is not repeated where it may hold a password.
  require(same_name(name, "http") || same_name(name, "https"),
          "the server's address must begin with http:// or https://, for example http://localhost:8000/v1");
  const std::string authority = url.substr(scheme + 3, url.find('/', scheme + 3) - (scheme + 3));
  require(authority.find('@') == authority.npos,
          "the server's address holds a user name or password; the key belongs into the environment");
  require(!authority.empty() && url.find_first_of("?# \t\r\n") == url.npos,
          "the server's address needs a host and may hold no query, for example http://localhost:8000/v1");
  std::string trimmed = url;
  while (trimmed.ends_with('/')) trimmed.pop_back();
  return trimmed;
}

bool is_loopback(const std::string& url) {
  std::string host = part_of(url, CURLUPART_HOST);
  if (same_name(host, "localhost")) return true;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  in_addr four{};
  if (::inet_pton(AF_INET, host.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24U) == 127;
  in6_addr six{};
  return ::inet_pton(AF_INET6, host.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

void require_private(const std::string& url) {
  if (same_name(part_of(url, CURLUPART_SCHEME), "https") || is_loopback(url)) return;
  throw Error(
      fmt::format("the key would go to {} unencrypted; give an https:// address, or a tunnel's at "
                  "http://localhost",
                  part_of(url, CURLUPART_HOST)));
}

bool fits_header(const std::string& key) {
  return std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c <= '~'; });
}

ServerKey server_key(const std::string& url, const std::string& variable) {
  constexpr const char* kOpenAi = "OPENAI_API_KEY";
  const std::string name = variable.empty() ? kOpenAi : variable;
  const char* value = std::getenv(name.c_str());
  const bool there = value != nullptr && *value != '\0';
  require(
      variable.empty() || there || is_variable_name(variable),
      "--key-env takes the name of an environment variable, as OPENAI_API_KEY, and no key: the environment "
      "has no variable of the name given, which is not repeated as it may be a key");
  require(variable.empty() || there,
          fmt::format("--key-env {}: the environment has no such variable, or an empty one; export it, or "
                      "leave --key-env out to send no key",
                      variable));
  if (!there || url.empty()) return {};
  checked_server_url(url);
  if (variable.empty() &&
      (!same_name(part_of(url, CURLUPART_SCHEME), "https") || part_of(url, CURLUPART_PORT) != "443" ||
       !same_name(part_of(url, CURLUPART_HOST), "api.openai.com"))) {
    return {"", fmt::format("{} is set, but not sent: by itself it goes to https://api.openai.com only; to "
                            "send it to {}, add --key-env {}",
                            kOpenAi, part_of(url, CURLUPART_HOST), kOpenAi)};
  }
  ServerKey found{value, ""};
  require(
      fits_header(found.key),
      fmt::format("the key in {} holds blanks, line breaks or characters beyond ASCII; set it again", name));
  require_private(url);
  if (found.key.size() < kShortestRedactedKey) {
    found.note = fmt::format(
        "the key in {} has fewer than {} characters: it is sent, but not removed from what the server "
        "repeats",
        name, kShortestRedactedKey);
  }
  return found;
}

}  // namespace sllmr
