// From raw maps to boxes on the GPU: peaks, the best corners, pairing by embedding.
//
// detectors/decode.py says what is computed; every comparison is made on the same float32 value as
// there, so that plateaus of the sigmoid give the same peaks. Of equal scores the one with the
// lower index comes first (class, then row, then column; of pairs: top-left corner, then
// bottom-right), which is the order that ONNX defines for TopK. That makes the result, empty rows
// included, that of the standard-operator decode, and the same in every run.
//
// A logit of NaN is no peak, and other cells are judged as if it were absent; the reference lets
// it spoil its image. Infinite logits are scores of 0 and 1. Embeddings and offsets that are NaN
// refuse no pair, as in the reference.
#ifndef CORNERRT_CORNER_DECODE_KERNEL_H_
#define CORNERRT_CORNER_DECODE_KERNEL_H_

#include <cstddef>
#include <cstdint>

#include "launch.h"

namespace cornerrt {

// The score of a pair, from those of its corners.
enum class PairScore : int32_t { kMean = 0, kGeometric = 1 };

// How corners become boxes; the attributes of the ONNX node.
struct DecodeParameters {
  int32_t top_k;       // corners kept per image and kind: 1 to kMostCorners
  int32_t nms_kernel;  // side of the window in which a corner is the maximum: 1, 3, 5 or 7 cells
  float ae_threshold;  // largest distance between the embeddings of a pair
  int32_t num_dets;    // rows of the result: 1 to top_k * top_k
  PairScore pair_score;
  float scale_x, scale_y;  // network pixels per cell
};

constexpr int kMostCorners = 512;

// Extents of the heatmaps. A batch of zero is nothing to do.
struct HeatmapShape {
  int64_t batch;
  int64_t classes;
  int64_t height;
  int64_t width;
};

// Raw maps in linear layout: heatmaps are logits (N, C, h, w), embeddings (N, 1, h, w), offsets
// (N, 2, h, w) as x, y. Not modified.
struct DecodeInputs {
  const float* tl_heat;
  const float* br_heat;
  const float* tl_tag;
  const float* br_tag;
  const float* tl_off;
  const float* br_off;
};

// Rows of detections, best first, written completely. D is num_dets.
struct DecodeOutputs {
  float* boxes;          // (N, D, 4): left, top, right, bottom in network pixels
  float* scores;         // (N, D): -1 where a row is empty; its other columns mean nothing
  int32_t* class_ids;    // (N, D)
  float* corner_scores;  // (N, D, 2): of the top-left and the bottom-right corner
};

// Bytes of workspace that CornerDecode needs; 0 if it would refuse the arguments.
size_t CornerDecodeWorkspaceBytes(const HeatmapShape& shape, const DecodeParameters& parameters);

// Enqueues the decoding of a batch: three kernels, no allocation, no waiting, safe in a CUDA graph.
//
// `workspace` has the size given above, 16-byte alignment and any content; it is free again when
// the kernels are done. Returns the error of a launch, or cudaErrorInvalidValue, with nothing
// enqueued, for a null pointer, a parameter out of range, 2^30 cells or more per image, fewer cells
// than top_k, or more than 32767 images.
cudaError_t CornerDecode(const HeatmapShape& shape, const DecodeParameters& parameters,
                         const DecodeInputs& inputs, const DecodeOutputs& outputs, void* workspace,
                         cudaStream_t stream);

}  // namespace cornerrt

#endif  // CORNERRT_CORNER_DECODE_KERNEL_H_
