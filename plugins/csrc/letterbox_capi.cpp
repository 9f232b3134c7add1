// The letterbox for runtime/letterbox_gpu.py: device pointers and a stream in, a cudaError_t as int
// out. The structure is mirrored there field by field.
#include "c_door.h"
#include "letterbox_kernel.h"

CORNERRT_C_DOOR int cornerrt_letterbox(const void* image, void* canvas,
                                       const cornerrt::LetterboxGeometry* geometry, void* stream) {
  return cornerrt::Letterbox(static_cast<const uint8_t*>(image), static_cast<uint8_t*>(canvas),
                             *geometry, static_cast<cudaStream_t>(stream));
}
