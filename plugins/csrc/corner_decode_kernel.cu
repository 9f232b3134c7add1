#include "corner_decode_kernel.h"

#include <cmath>
#include <cstdint>

#include "launch.h"
#include "ranked_keys.h"

namespace cornerrt {
namespace {

constexpr int kPeakThreads = 512;
constexpr int kMergeThreads = 1024;
// Half as many as for merging: with twice the registers each, none are spilled.
constexpr int kPairThreads = 512;
// Cells that one block searches for peaks; four bytes each of shared memory.
constexpr int kFewestTileCells = 1024;
constexpr int kMostTileCells = 8192;
// Tiles grow until there are no more than this, about one per multiprocessor of a large GPU: the
// fewer tiles, the fewer keys one block must merge.
constexpr int64_t kManyTiles = 128;
// Keys that are sorted at once for the best corners, and, in shared memory, for the best pairs.
constexpr int kCornerRoom = 2 * kMostCorners;
constexpr int64_t kSharedPairRoom = 2048;
constexpr int64_t kMostImages = 65535 / 2;  // blocks along the grid's second axis, two per image

enum Kind { kTopLeft = 0, kBottomRight = 1, kKinds = 2 };

struct Corner {
  float score;
  float x, y;
  float tag;
  int32_t class_id;
};

// A launch's sizes; everything fits 32 bits but products with the batch.
struct Sizes {
  int height, width;
  int plane;       // cells of one class
  int cells;       // of all classes
  int tile_cells;  // a power of two
  int tiles;
  int tile_room;  // keys that one tile passes on: a little more than top_k
  int pair_room;  // keys that are sorted for the best pairs: a power of two
};

// The workspace in bytes: where its parts begin, and its end.
struct Workspace {
  size_t corners;
  size_t pairs;
  size_t end;
};

// Larger logits never get smaller scores, so maxima may be taken of logits.
__device__ float Sigmoid(float logit) { return 1.0f / (1.0f + expf(-logit)); }

// Returns the score of a cell whose score no cell of its window exceeds, as bits; 0 for others.
__device__ uint32_t PeakScore(float logit, float largest_near) {
  // Scores of different logits may be equal, and both are peaks then. Below 8 the sigmoid is steep
  // enough to keep logits apart that differ by 0.01 (or both scores are 0): no need to compute it.
  constexpr float kSteepBelow = 8.0f;
  constexpr float kClearlyLess = 0.01f;
  if (logit < kSteepBelow && largest_near - logit > kClearlyLess) return 0;
  const float score = Sigmoid(logit);
  const bool is_peak = logit == largest_near || score == Sigmoid(largest_near);
  return is_peak ? __float_as_uint(score) : 0;
}

// Returns the largest logit of a cell's window; what lies outside the map does not count.
template <int kRadius>
__device__ float LargestNear(const float* __restrict__ cell, int row, int column,
                             const Sizes& sizes) {
  float largest = *cell;
#pragma unroll(kRadius > 2 ? 1 : 2 * kRadius + 1)  // 49 loads at once would spill registers
  for (int down = -kRadius; down <= kRadius; ++down) {
#pragma unroll
    for (int right = -kRadius; right <= kRadius; ++right) {
      const bool inside = row + down >= 0 && row + down < sizes.height && column + right >= 0 &&
                          column + right < sizes.width;
      if (inside) largest = fmaxf(largest, cell[down * sizes.width + right]);  // NaN loses
    }
  }
  return largest;
}

// Finds the peaks of one tile of one heatmap and passes on its best `top_k`, or some more.
// Blocks: a tile; image and kind.
template <int kRadius>
__global__ void __launch_bounds__(kPeakThreads)
    SelectPeaks(const float* __restrict__ tl_heat, const float* __restrict__ br_heat, Sizes sizes,
                int top_k, Key* __restrict__ candidates) {
  __shared__ RankScratch scratch;
  uint32_t* const scores = DynamicShared<uint32_t>();
  const int image = static_cast<int>(blockIdx.y) / kKinds;
  const float* heat = blockIdx.y % kKinds == kTopLeft ? tl_heat : br_heat;
  heat += static_cast<int64_t>(image) * sizes.cells;
  const int first = static_cast<int>(blockIdx.x) * sizes.tile_cells;
  const int rest = sizes.cells - first;
  const int count = rest < sizes.tile_cells ? rest : sizes.tile_cells;

  const int cell_in_plane = (first + static_cast<int>(threadIdx.x)) % sizes.plane;
  int row = cell_in_plane / sizes.width;
  int column = cell_in_plane % sizes.width;
  const int step_rows = kPeakThreads / sizes.width % sizes.height;
  const int step_columns = kPeakThreads % sizes.width;
#pragma unroll(kRadius > 1 ? 1 : 2)  // more would spill registers in large windows
  for (int i = threadIdx.x; i < count; i += kPeakThreads) {
    const float* cell = heat + first + i;
    scores[i] = PeakScore(*cell, LargestNear<kRadius>(cell, row, column, sizes));
    column += step_columns;
    row += step_rows + (column >= sizes.width);
    column -= column >= sizes.width ? sizes.width : 0;
    row -= row >= sizes.height ? sizes.height : 0;  // the next class
  }
  __syncthreads();

  // A cell with score 0 counts only where fewer than top_k cells come before it in any case.
  const auto key_at = [&](int i) {
    const uint32_t score = scores[i];
    return score || first + i < top_k ? MakeKey(score, first + i) : kNoKey;
  };
  const Key floor = FindFloor(count, top_k, sizes.tile_room, scratch, key_at);
  Key* const kept = candidates + (static_cast<int64_t>(blockIdx.y) * sizes.tiles + blockIdx.x) *
                                     sizes.tile_room;
  const int found = static_cast<int>(CollectKeys(count, floor, scratch, key_at, kept));
  for (int i = found + threadIdx.x; i < sizes.tile_room; i += kPeakThreads) kept[i] = kNoKey;
}

// Chooses the best corners of all tiles and looks up what lies at their cells.
// Blocks: image and kind.
__global__ void __launch_bounds__(kMergeThreads)
    MergeCorners(DecodeInputs inputs, Sizes sizes, int top_k, const Key* __restrict__ candidates,
                 Corner* __restrict__ corners) {
  __shared__ RankScratch scratch;
  __shared__ Key keys[kCornerRoom];
  const int64_t image = blockIdx.x / kKinds;
  const bool is_top_left = blockIdx.x % kKinds == kTopLeft;
  const int count = sizes.tiles * sizes.tile_room;
  candidates += static_cast<int64_t>(blockIdx.x) * count;
  const auto key_at = [&](int i) { return candidates[i]; };
  const Key floor = FindFloor(count, top_k, kCornerRoom, scratch, key_at);
  SortDescending(keys, static_cast<int>(CollectKeys(count, floor, scratch, key_at, keys)));

  const float* tags = (is_top_left ? inputs.tl_tag : inputs.br_tag) + image * sizes.plane;
  const float* offsets_x = (is_top_left ? inputs.tl_off : inputs.br_off) + 2 * image * sizes.plane;
  const float* offsets_y = offsets_x + sizes.plane;
  for (int i = threadIdx.x; i < top_k; i += kMergeThreads) {
    const int index = static_cast<int>(IndexOf(keys[i]));
    const int cell = index % sizes.plane;
    const float x = static_cast<float>(cell % sizes.width) + offsets_x[cell];
    const float y = static_cast<float>(cell / sizes.width) + offsets_y[cell];
    corners[static_cast<int64_t>(blockIdx.x) * top_k + i] = {ScoreOf(keys[i]), x, y, tags[cell],
                                                             index / sizes.plane};
  }
}

// The corners of one image, and which of their pairs may be boxes.
struct Pairing {
  const Corner* top_left;
  const Corner* bottom_right;
  const DecodeParameters& parameters;

  __device__ int Pairs() const { return parameters.top_k * parameters.top_k; }

  __device__ bool IsRefused(int pair) const {
    const Corner& a = top_left[pair / parameters.top_k];
    const Corner& b = bottom_right[pair % parameters.top_k];
    return a.class_id != b.class_id || fabsf(a.tag - b.tag) > parameters.ae_threshold ||
           a.x - b.x > 0 || a.y - b.y > 0;
  }

  __device__ float Score(int pair) const {
    const float a = top_left[pair / parameters.top_k].score;
    const float b = bottom_right[pair % parameters.top_k].score;
    return parameters.pair_score == PairScore::kGeometric ? sqrtf(a * b) : (a + b) / 2;
  }

  __device__ void WriteRow(const DecodeOutputs& outputs, int64_t row, int pair,
                           float score) const {
    const Corner& a = top_left[pair / parameters.top_k];
    const Corner& b = bottom_right[pair % parameters.top_k];
    float* box = outputs.boxes + 4 * row;
    box[0] = a.x * parameters.scale_x;
    box[1] = a.y * parameters.scale_y;
    box[2] = b.x * parameters.scale_x;
    box[3] = b.y * parameters.scale_y;
    outputs.scores[row] = score;
    outputs.class_ids[row] = a.class_id;
    outputs.corner_scores[2 * row] = a.score;
    outputs.corner_scores[2 * row + 1] = b.score;
  }
};

// Pairs the corners and writes the best pairs, then refused ones as empty rows. Blocks: an image.
__global__ void __launch_bounds__(kPairThreads)
    PairCorners(DecodeParameters parameters, Sizes sizes, const Corner* __restrict__ corners,
                Key* __restrict__ large_room, DecodeOutputs outputs) {
  constexpr float kEmptyScore = -1.0f;
  __shared__ RankScratch scratch;
  __shared__ Corner own_corners[kKinds * kMostCorners];
  const int top_k = parameters.top_k;
  const int64_t image = blockIdx.x;
  Key* const keys = sizes.pair_room <= kSharedPairRoom ? DynamicShared<Key>()
                                                       : large_room + image * sizes.pair_room;
  for (int i = threadIdx.x; i < kKinds * top_k; i += kPairThreads) {
    own_corners[i] = corners[image * kKinds * top_k + i];
  }
  __syncthreads();

  const Pairing pairing{own_corners, own_corners + top_k, parameters};
  const auto key_at = [&](int pair) {
    if (pairing.IsRefused(pair)) return kNoKey;
    return MakeKey(__float_as_uint(pairing.Score(pair)), pair);
  };
  const int pairs = pairing.Pairs();
  const Key floor = FindFloor(pairs, parameters.num_dets, sizes.pair_room, scratch, key_at);
  const int found = static_cast<int>(CollectKeys(pairs, floor, scratch, key_at, keys));
  SortDescending(keys, found);

  const int64_t first_row = image * parameters.num_dets;
  int row = found < parameters.num_dets ? found : parameters.num_dets;
  for (int i = threadIdx.x; i < row; i += kPairThreads) {
    pairing.WriteRow(outputs, first_row + i, static_cast<int>(IndexOf(keys[i])), ScoreOf(keys[i]));
  }
  for (int start = 0; row < parameters.num_dets; start += kPairThreads) {
    const int pair = start + static_cast<int>(threadIdx.x);
    const bool is_refused = pair < pairs && pairing.IsRefused(pair);
    const BlockSum refused = SumBefore(is_refused, scratch);
    const int own_row = row + static_cast<int>(refused.before);
    if (is_refused && own_row < parameters.num_dets) {
      pairing.WriteRow(outputs, first_row + own_row, pair, kEmptyScore);
    }
    row += static_cast<int>(refused.total);
    __syncthreads();  // before the sums are used again
  }
}

bool IsValid(const HeatmapShape& shape, const DecodeParameters& parameters) {
  constexpr int64_t kTooManyCells = int64_t{1} << kIndexBits;
  if (shape.batch < 0 || shape.batch > kMostImages) return false;
  int64_t cells = 1;
  for (const int64_t extent : {shape.classes, shape.height, shape.width}) {
    if (extent < 1 || extent >= kTooManyCells || cells * extent >= kTooManyCells) return false;
    cells *= extent;
  }
  const bool is_known_score = parameters.pair_score == PairScore::kMean ||
                              parameters.pair_score == PairScore::kGeometric;
  return parameters.top_k >= 1 && parameters.top_k <= kMostCorners && parameters.top_k <= cells &&
         parameters.nms_kernel >= 1 && parameters.nms_kernel <= 7 &&
         parameters.nms_kernel % 2 == 1 && parameters.num_dets >= 1 &&
         parameters.num_dets <= parameters.top_k * parameters.top_k && is_known_score;
}

Sizes MakeSizes(const HeatmapShape& shape, const DecodeParameters& parameters) {
  Sizes sizes{};
  sizes.height = static_cast<int>(shape.height);
  sizes.width = static_cast<int>(shape.width);
  sizes.plane = sizes.height * sizes.width;
  sizes.cells = static_cast<int>(shape.classes) * sizes.plane;
  sizes.tile_cells = kFewestTileCells;
  while (sizes.tile_cells < kMostTileCells && sizes.cells > kManyTiles * sizes.tile_cells) {
    sizes.tile_cells *= 2;
  }
  sizes.tiles = static_cast<int>(DivideUp(sizes.cells, sizes.tile_cells));
  // A quarter more than needed, so that the search for the last key may stop early.
  const int enough = parameters.top_k + parameters.top_k / 4;
  sizes.tile_room = static_cast<int>(DivideUp(enough, kWarpSize)) * kWarpSize;
  sizes.pair_room = 1;
  while (sizes.pair_room < parameters.num_dets) sizes.pair_room *= 2;
  return sizes;
}

Workspace MakeWorkspace(const HeatmapShape& shape, const DecodeParameters& parameters,
                        const Sizes& sizes) {
  constexpr size_t kAlignment = 16;
  const size_t images = static_cast<size_t>(shape.batch);
  const auto after = [](size_t start, size_t bytes) {
    return (start + bytes + kAlignment - 1) / kAlignment * kAlignment;
  };
  Workspace workspace{};
  workspace.corners = after(0, images * kKinds * sizes.tiles * sizes.tile_room * sizeof(Key));
  workspace.pairs = after(workspace.corners, images * kKinds * parameters.top_k * sizeof(Corner));
  const size_t room = sizes.pair_room <= kSharedPairRoom ? 0 : sizes.pair_room;
  workspace.end = after(workspace.pairs, images * room * sizeof(Key));
  return workspace;
}

cudaError_t LaunchSelectPeaks(const Sizes& sizes, const DecodeParameters& parameters,
                              const DecodeInputs& inputs, unsigned images, Key* candidates,
                              cudaStream_t stream) {
  const dim3 grid(sizes.tiles, images * kKinds);
  const size_t shared_bytes = sizes.tile_cells * sizeof(uint32_t);
  const auto launch = [&](auto kernel) {
    return Launch(kernel, grid, dim3(kPeakThreads), shared_bytes, stream, inputs.tl_heat,
                  inputs.br_heat, sizes, parameters.top_k, candidates);
  };
  switch (parameters.nms_kernel / 2) {
    case 0:
      return launch(SelectPeaks<0>);
    case 1:
      return launch(SelectPeaks<1>);
    case 2:
      return launch(SelectPeaks<2>);
    default:
      return launch(SelectPeaks<3>);
  }
}

}  // namespace

size_t CornerDecodeWorkspaceBytes(const HeatmapShape& shape, const DecodeParameters& parameters) {
  if (!IsValid(shape, parameters)) return 0;
  return MakeWorkspace(shape, parameters, MakeSizes(shape, parameters)).end;
}

cudaError_t CornerDecode(const HeatmapShape& shape, const DecodeParameters& parameters,
                         const DecodeInputs& inputs, const DecodeOutputs& outputs, void* workspace,
                         cudaStream_t stream) {
  if (!IsValid(shape, parameters)) return cudaErrorInvalidValue;
  if (shape.batch == 0) return cudaSuccess;
  const void* const pointers[] = {inputs.tl_heat, inputs.br_heat,    inputs.tl_tag,
                                  inputs.br_tag,  inputs.tl_off,     inputs.br_off,
                                  outputs.boxes,  outputs.scores,    outputs.class_ids,
                                  workspace,      outputs.corner_scores};
  for (const void* pointer : pointers) {
    if (!pointer) return cudaErrorInvalidValue;
  }
  const Sizes sizes = MakeSizes(shape, parameters);
  const Workspace places = MakeWorkspace(shape, parameters, sizes);
  auto* const bytes = static_cast<unsigned char*>(workspace);
  auto* const candidates = reinterpret_cast<Key*>(bytes);
  auto* const corners = reinterpret_cast<Corner*>(bytes + places.corners);
  auto* const large_room = reinterpret_cast<Key*>(bytes + places.pairs);
  const unsigned images = static_cast<unsigned>(shape.batch);

  cudaError_t status = LaunchSelectPeaks(sizes, parameters, inputs, images, candidates, stream);
  if (status != cudaSuccess) return status;
  status = Launch(MergeCorners, dim3(images * kKinds), dim3(kMergeThreads), 0, stream, inputs,
                  sizes, parameters.top_k, candidates, corners);
  if (status != cudaSuccess) return status;
  const size_t shared_bytes =
      sizes.pair_room <= kSharedPairRoom ? sizes.pair_room * sizeof(Key) : 0;
  return Launch(PairCorners, dim3(images), dim3(kPairThreads), shared_bytes, stream, parameters,
                sizes, corners, large_room, outputs);
}

}  // namespace cornerrt
