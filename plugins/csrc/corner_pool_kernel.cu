// Chooses the kernel, the pack and the grid for a tensor.
#include "corner_pool_kernel.h"

#include <cstdint>

#include "corner_pool_device.h"
#include "launch.h"
#include "number_words.h"

namespace cornerrt {
namespace {

struct Buffers {
  const uint8_t* input;
  const uint8_t* addend;  // nullptr: none
  uint8_t* output;
};

Buffers MakeBuffers(const void* input, const void* addend, void* output) {
  return {static_cast<const uint8_t*>(input), static_cast<const uint8_t*>(addend),
          static_cast<uint8_t*>(output)};
}

bool IsHorizontal(Direction direction) {
  return direction == Direction::kLeft || direction == Direction::kRight;
}

bool IsFromEnd(Direction direction) {
  return direction == Direction::kTop || direction == Direction::kLeft;
}

bool IsValid(const FeatureMap& map, Direction direction) {
  const FeatureShape& shape = map.shape;
  return shape.batch >= 0 && shape.channels >= 0 && shape.height >= 0 && shape.width >= 0 &&
         map.type >= NumberType::kFloat && map.type <= NumberType::kInt8 &&
         map.layout >= Layout::kLinear && map.layout <= Layout::kChw32 &&
         direction >= Direction::kTop && direction <= Direction::kRight;
}

bool IsEmpty(const FeatureShape& shape) {
  return !shape.batch || !shape.channels || !shape.height || !shape.width;
}

Walk MakeWalk(const FeatureMap& map, Direction direction) {
  const FeatureShape& shape = map.shape;
  int64_t outer = shape.batch;  // planes before the height
  int64_t inner = 1;            // channels behind the width
  switch (map.layout) {
    case Layout::kLinear:
      outer *= shape.channels;
      break;
    case Layout::kHwc:
      inner = shape.channels;
      break;
    case Layout::kHwc8:
      inner = DivideUp(shape.channels, 8) * 8;
      break;
    case Layout::kChw32:
      outer *= DivideUp(shape.channels, 32);
      inner = 32;
      break;
  }
  if (IsHorizontal(direction)) {
    return {outer * shape.height, shape.width, inner, IsFromEnd(direction)};
  }
  return {outer, shape.height, shape.width * inner, IsFromEnd(direction)};
}

// The most bytes that one load may move: they divide a row and every address.
int64_t PackBytes(const Buffers& buffers, int64_t row_bytes, int64_t number_bytes) {
  const uintptr_t bits = reinterpret_cast<uintptr_t>(buffers.input) |
                         reinterpret_cast<uintptr_t>(buffers.addend) |
                         reinterpret_cast<uintptr_t>(buffers.output) |
                         static_cast<uintptr_t>(row_bytes);
  for (const int64_t bytes : {16, 4}) {
    if (bits % bytes == 0) return bytes;
  }
  return number_bytes;
}

// CUDA's limit on the blocks of a grid's first extent.
constexpr int64_t kMaxBlocks = 0x7fffffff;

template <typename Words, int kPackBytes, int kLanes, int kRows, int kTiles>
cudaError_t LaunchRows(const Buffers& buffers, const Walk& walk, cudaStream_t stream) {
  const int64_t width = walk.steps * Words::kBytes / kPackBytes;
  const int64_t blocks = DivideUp(walk.outer, kBlockThreads / kLanes * kRows);
  if (blocks > kMaxBlocks) return cudaErrorInvalidValue;
  auto* kernel = walk.from_end ? PoolRows<Words, kPackBytes, kLanes, kRows, kTiles, true>
                               : PoolRows<Words, kPackBytes, kLanes, kRows, kTiles, false>;
  return Launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kBlockThreads), 0, stream,
                buffers.input, buffers.output, walk.outer, width);
}

template <typename Words>
cudaError_t PoolContiguous(const Buffers& buffers, const Walk& walk, cudaStream_t stream) {
  const int64_t row_bytes = walk.steps * Words::kBytes;
  switch (PackBytes(buffers, row_bytes, Words::kBytes)) {
    case 16:
      if (row_bytes <= 8 * 16) {
        return LaunchRows<Words, 16, 8, kRowPacks, 1>(buffers, walk, stream);
      }
      if (row_bytes <= 16 * 16) {
        return LaunchRows<Words, 16, 16, kRowPacks, 1>(buffers, walk, stream);
      }
      if (row_bytes <= 32 * 16) {
        return LaunchRows<Words, 16, 32, kRowPacks, 1>(buffers, walk, stream);
      }
      return LaunchRows<Words, 16, 32, 1, kRowPacks>(buffers, walk, stream);
    case 4:
      return LaunchRows<Words, 4, 32, 1, kRowPacks>(buffers, walk, stream);
    default:
      return LaunchRows<Words, Words::kBytes, 32, 1, kRowPacks>(buffers, walk, stream);
  }
}

template <typename Words, int kPackBytes, Addend kAddend>
cudaError_t LaunchColumns(const Buffers& buffers, Walk walk, cudaStream_t stream) {
  walk.inner = walk.inner * Words::kBytes / kPackBytes;
  const int64_t blocks = DivideUp(walk.outer * walk.inner, kWarpSize);
  if (blocks > kMaxBlocks) return cudaErrorInvalidValue;
  return Launch(PoolColumns<Words, kPackBytes, kAddend>, dim3(static_cast<unsigned>(blocks)),
                dim3(kWarpSize, kSegments), 0, stream, buffers.input, buffers.addend,
                buffers.output, walk);
}

template <typename Words, Addend kAddend>
cudaError_t PoolAcross(const Buffers& buffers, const Walk& walk, cudaStream_t stream) {
  switch (PackBytes(buffers, walk.inner * Words::kBytes, Words::kBytes)) {
    case 16:
      return LaunchColumns<Words, 16, kAddend>(buffers, walk, stream);
    case 4:
      return LaunchColumns<Words, 4, kAddend>(buffers, walk, stream);
    default:
      return LaunchColumns<Words, Words::kBytes, kAddend>(buffers, walk, stream);
  }
}

template <typename Words>
cudaError_t Pool(const Buffers& buffers, const Walk& walk, cudaStream_t stream) {
  return walk.inner == 1 ? PoolContiguous<Words>(buffers, walk, stream)
                         : PoolAcross<Words, Addend::kNothing>(buffers, walk, stream);
}

// Whether the lanes of a warp hold whole rows of a linear tensor, so that one kernel can pool both
// ways.
template <typename Words>
bool RowsFitWarp(const FeatureMap& map, const Buffers& buffers) {
  const int64_t row_bytes = map.shape.width * Words::kBytes;
  const int64_t packs = row_bytes / 16;
  return map.layout == Layout::kLinear && PackBytes(buffers, row_bytes, Words::kBytes) == 16 &&
         packs <= kWarpSize && (packs & (packs - 1)) == 0;
}

template <typename Words>
cudaError_t PoolSum(const FeatureMap& map, const Walk& vertical, const Walk& horizontal,
                    const Buffers& buffers, cudaStream_t stream) {
  if (RowsFitWarp<Words>(map, buffers)) {
    return horizontal.from_end
               ? LaunchColumns<Words, 16, Addend::kRowsFromEnd>(buffers, vertical, stream)
               : LaunchColumns<Words, 16, Addend::kRowsFromStart>(buffers, vertical, stream);
  }
  const Buffers first{buffers.addend, nullptr, buffers.output};
  const cudaError_t status = Pool<Words>(first, horizontal, stream);
  if (status != cudaSuccess) return status;
  const Buffers second{buffers.input, buffers.output, buffers.output};
  return PoolAcross<Words, Addend::kTensor>(second, vertical, stream);
}

}  // namespace

cudaError_t CornerPool(const FeatureMap& map, Direction direction, const void* input, void* output,
                       cudaStream_t stream) {
  if (!IsValid(map, direction)) return cudaErrorInvalidValue;
  if (IsEmpty(map.shape)) return cudaSuccess;
  if (!input || !output) return cudaErrorInvalidValue;
  const Buffers buffers = MakeBuffers(input, nullptr, output);
  const Walk walk = MakeWalk(map, direction);
  switch (map.type) {
    case NumberType::kFloat:
      return Pool<FloatWords>(buffers, walk, stream);
    case NumberType::kHalf:
      return Pool<HalfWords>(buffers, walk, stream);
    case NumberType::kInt8:
      return Pool<Int8Words>(buffers, walk, stream);
  }
  return cudaErrorInvalidValue;
}

cudaError_t CornerPoolSum(const FeatureMap& map, Direction vertical_direction,
                          const void* vertical_input, Direction horizontal_direction,
                          const void* horizontal_input, void* output, cudaStream_t stream) {
  if (!IsValid(map, vertical_direction) || !IsValid(map, horizontal_direction) ||
      IsHorizontal(vertical_direction) || !IsHorizontal(horizontal_direction)) {
    return cudaErrorInvalidValue;
  }
  if (map.type == NumberType::kInt8) return cudaErrorInvalidValue;
  if (IsEmpty(map.shape)) return cudaSuccess;
  if (!vertical_input || !horizontal_input || !output) return cudaErrorInvalidValue;
  const Buffers buffers = MakeBuffers(vertical_input, horizontal_input, output);
  const Walk vertical = MakeWalk(map, vertical_direction);
  const Walk horizontal = MakeWalk(map, horizontal_direction);
  return map.type == NumberType::kFloat
             ? PoolSum<FloatWords>(map, vertical, horizontal, buffers, stream)
             : PoolSum<HalfWords>(map, vertical, horizontal, buffers, stream);
}

}  // namespace cornerrt
