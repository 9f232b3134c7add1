// Decoding for tests, benchmarks and programs without TensorRT: device pointers and a stream in, a
// cudaError_t as int out. Enum values are those of corner_decode_kernel.h.
#include "c_door.h"
#include "corner_decode_kernel.h"

namespace {

// Mirrored field by field where Python calls these functions.
struct CornerDecodeCall {
  int64_t shape[4];  // batch, classes, height, width
  int32_t top_k;
  int32_t nms_kernel;
  int32_t num_dets;
  int32_t pair_score;
  float ae_threshold;
  float scale_x;
  float scale_y;
};

cornerrt::HeatmapShape ShapeOf(const CornerDecodeCall& call) {
  return {call.shape[0], call.shape[1], call.shape[2], call.shape[3]};
}

cornerrt::DecodeParameters ParametersOf(const CornerDecodeCall& call) {
  const auto pair_score = static_cast<cornerrt::PairScore>(call.pair_score);
  return {call.top_k, call.nms_kernel, call.ae_threshold, call.num_dets,
          pair_score, call.scale_x,    call.scale_y};
}

}  // namespace

CORNERRT_C_DOOR int64_t cornerrt_corner_decode_workspace_bytes(const CornerDecodeCall* call) {
  return static_cast<int64_t>(
      cornerrt::CornerDecodeWorkspaceBytes(ShapeOf(*call), ParametersOf(*call)));
}

// `maps`: tl_heat, br_heat, tl_tag, br_tag, tl_off, br_off. The outputs as in DecodeOutputs.
CORNERRT_C_DOOR int cornerrt_corner_decode(const CornerDecodeCall* call, const float* const* maps,
                                           float* boxes, float* scores, int32_t* class_ids,
                                           float* corner_scores, void* workspace, void* stream) {
  const cornerrt::DecodeInputs inputs{maps[0], maps[1], maps[2], maps[3], maps[4], maps[5]};
  const cornerrt::DecodeOutputs outputs{boxes, scores, class_ids, corner_scores};
  return cornerrt::CornerDecode(ShapeOf(*call), ParametersOf(*call), inputs, outputs, workspace,
                                static_cast<cudaStream_t>(stream));
}
