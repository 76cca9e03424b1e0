// Vectors that are there already.
#include "host/text/encoder.h"
#include "kernels/exec/error.h"

namespace sllmr {

EncodeResult encode_file(const Dataset& data, const EncoderOptions& options) {
  require(!options.file.empty(), "llm.encoder=file needs llm.vectors, the path of the vectors");
  EncodeResult result;
  result.vectors = load_text_vectors(options.file, data);
  return result;
}

}  // namespace sllmr
