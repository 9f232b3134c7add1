// Corner pooling on the GPU: every cell takes the largest value met on a straight walk to it from
// one border. plugins/reference.py says what is computed; NaN counts as larger than every number.
//
// All functions only enqueue kernels on a stream: no allocation, no waiting, safe inside a CUDA
// graph. They return the error of their own arguments or launches. Output must not overlap input.
#ifndef CORNERRT_CORNER_POOL_KERNEL_H_
#define CORNERRT_CORNER_POOL_KERNEL_H_

#include <cstdint>

#include "launch.h"

namespace cornerrt {

// The border that maxima travel towards: with kTop the walk starts at the bottom row.
enum class Direction : int32_t { kTop = 0, kBottom = 1, kLeft = 2, kRight = 3 };

enum class NumberType : int32_t { kFloat = 0, kHalf = 1, kInt8 = 2 };

// Where element (n, c, h, w) lies; named as TensorRT names its formats.
enum class Layout : int32_t {
  kLinear = 0,  // [N][C][H][W]
  kHwc = 1,     // [N][H][W][C]
  kHwc8 = 2,    // [N][H][W][C padded to a multiple of 8]
  kChw32 = 3,   // [N][C / 32 rounded up][H][W][32]
};

// Logical extents, whatever the layout. An extent of zero is an empty tensor: nothing to do.
struct FeatureShape {
  int64_t batch;
  int64_t channels;
  int64_t height;
  int64_t width;
};

// A tensor's number type, layout and extents.
struct FeatureMap {
  NumberType type;
  Layout layout;
  FeatureShape shape;
};

// Pools one tensor. Padding channels are pooled like the others.
//
// Returns cudaErrorInvalidValue for a null pointer, a negative extent or an unknown enum value.
cudaError_t CornerPool(const FeatureMap& map, Direction direction, const void* input, void* output,
                       cudaStream_t stream);

// Adds the pool of one tensor along the height to the pool of another along the width, as a
// corner module does: top + left, or bottom + right. The sum is rounded once, to the number type.
//
// Apart, pool + pool + add read four tensors and write three. This reads two and writes one where
// a linear row fills 1, 2, 4 ... 32 vectors of 16 bytes (W = 128 does, in float and half), and
// reads three and writes two elsewhere.
//
// Returns cudaErrorInvalidValue as CornerPool does, for int8 (two tensors have two scales), and
// unless `vertical_direction` is top or bottom and `horizontal_direction` left or right.
cudaError_t CornerPoolSum(const FeatureMap& map, Direction vertical_direction,
                          const void* vertical_input, Direction horizontal_direction,
                          const void* horizontal_input, void* output, cudaStream_t stream);

}  // namespace cornerrt

#endif  // CORNERRT_CORNER_POOL_KERNEL_H_
