#include "letterbox_kernel.h"

namespace cornerrt {
namespace {

constexpr int kChannels = 3;
// Weights are integers of this many bits, as in OpenCV; a sum of four weighted bytes fits 32 bits.
constexpr int kWeightBits = 11;
constexpr int kWeightOne = 1 << kWeightBits;
// One warp writes adjacent pixels of one row.
constexpr int kBlockWidth = 32;
constexpr int kBlockHeight = 8;

// The two source pixels, along one axis, that a resized pixel lies between.
struct Neighbours {
  int first, second;
  int second_weight;  // of kWeightOne
};

// The centre of resized pixel i lies at (i + 1/2) * source / resized - 1/2, in whole numbers so
// that the host and every GPU agree. Outside the outermost centres the border pixel counts alone.
__device__ Neighbours NeighboursOf(int index, int source, int resized) {
  const int denominator = 2 * resized;
  const int numerator = (2 * index + 1) * source - resized;
  if (numerator <= 0) return {0, 0, 0};
  const int first = numerator / denominator;
  if (first >= source - 1) return {source - 1, source - 1, 0};
  const int64_t rest = numerator - first * denominator;
  const int weight = static_cast<int>((rest * kWeightOne + resized) / denominator);
  return {first, first + 1, weight};
}

__device__ int Blend(int first, int second, int second_weight) {
  return first * (kWeightOne - second_weight) + second * second_weight;
}

__global__ void ScaleOntoCanvas(const uint8_t* __restrict__ image, uint8_t* __restrict__ canvas,
                                LetterboxGeometry geometry) {
  const int x = blockIdx.x * kBlockWidth + threadIdx.x;
  const int y = blockIdx.y * kBlockHeight + threadIdx.y;
  if (x >= geometry.canvas_width || y >= geometry.canvas_height) return;
  uint8_t* out = canvas + (static_cast<int64_t>(y) * geometry.canvas_width + x) * kChannels;
  const int column = x - geometry.left, row = y - geometry.top;
  if (column < 0 || column >= geometry.resized_width || row < 0 || row >= geometry.resized_height) {
    for (int c = 0; c < kChannels; ++c) out[c] = static_cast<uint8_t>(geometry.padding);
    return;
  }
  const Neighbours across = NeighboursOf(column, geometry.image_width, geometry.resized_width);
  const Neighbours down = NeighboursOf(row, geometry.image_height, geometry.resized_height);
  const int64_t row_bytes = static_cast<int64_t>(geometry.image_width) * kChannels;
  const uint8_t* upper = image + down.first * row_bytes;
  const uint8_t* lower = image + down.second * row_bytes;
  const int left = across.first * kChannels, right = across.second * kChannels;
  for (int c = 0; c < kChannels; ++c) {
    const int top = Blend(upper[left + c], upper[right + c], across.second_weight);
    const int bottom = Blend(lower[left + c], lower[right + c], across.second_weight);
    const int half = 1 << (2 * kWeightBits - 1);
    out[c] = static_cast<uint8_t>((Blend(top, bottom, down.second_weight) + half) >>
                                  (2 * kWeightBits));
  }
}

// Whether one axis makes sense and its index arithmetic stays within 32 bits.
bool IsValidAxis(int64_t source, int64_t canvas, int64_t resized, int64_t offset) {
  return source >= 1 && canvas >= 1 && resized >= 1 && offset >= 0 && offset + resized <= canvas &&
         source * resized < (int64_t{1} << 30);
}

}  // namespace

cudaError_t Letterbox(const uint8_t* image, uint8_t* canvas, const LetterboxGeometry& geometry,
                      cudaStream_t stream) {
  const LetterboxGeometry& g = geometry;
  const dim3 grid(DivideUp(g.canvas_width, kBlockWidth), DivideUp(g.canvas_height, kBlockHeight));
  const bool valid = image != nullptr && canvas != nullptr && g.padding >= 0 && g.padding <= 255 &&
                     IsValidAxis(g.image_height, g.canvas_height, g.resized_height, g.top) &&
                     IsValidAxis(g.image_width, g.canvas_width, g.resized_width, g.left);
  if (!valid) return cudaErrorInvalidValue;
  return Launch(ScaleOntoCanvas, grid, dim3(kBlockWidth, kBlockHeight), 0, stream, image, canvas,
                geometry);
}

}  // namespace cornerrt
