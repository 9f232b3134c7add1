// Corner pooling for tests, benchmarks and programs without TensorRT: device pointers and a stream
// in, a cudaError_t as int out. Enum values are those of corner_pool_kernel.h.
#include "c_door.h"
#include "corner_pool_kernel.h"

namespace {

// Mirrored field by field where Python calls these functions.
struct CornerPoolTensor {
  int32_t type;
  int32_t layout;
  int64_t shape[4];  // batch, channels, height, width
};

cornerrt::FeatureMap AsFeatureMap(const CornerPoolTensor& tensor) {
  const int64_t* shape = tensor.shape;
  return {static_cast<cornerrt::NumberType>(tensor.type),
          static_cast<cornerrt::Layout>(tensor.layout),
          {shape[0], shape[1], shape[2], shape[3]}};
}

}  // namespace

CORNERRT_C_DOOR int cornerrt_corner_pool(const CornerPoolTensor* tensor, int direction,
                                         const void* input, void* output, void* stream) {
  return cornerrt::CornerPool(AsFeatureMap(*tensor), static_cast<cornerrt::Direction>(direction),
                              input, output, static_cast<cudaStream_t>(stream));
}

CORNERRT_C_DOOR int cornerrt_corner_pool_sum(const CornerPoolTensor* tensor,
                                             int vertical_direction, const void* vertical_input,
                                             int horizontal_direction,
                                             const void* horizontal_input, void* output,
                                             void* stream) {
  return cornerrt::CornerPoolSum(AsFeatureMap(*tensor),
                                 static_cast<cornerrt::Direction>(vertical_direction),
                                 vertical_input,
                                 static_cast<cornerrt::Direction>(horizontal_direction),
                                 horizontal_input, output, static_cast<cudaStream_t>(stream));
}
