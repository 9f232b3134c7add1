// The TensorRT plugin around decoding: ONNX node cornerrt.CornerDecode, six raw maps in, four
// tensors of detections out, as corner_decode_kernel.h describes them.
#ifndef CORNERRT_CORNER_DECODE_PLUGIN_H_
#define CORNERRT_CORNER_DECODE_PLUGIN_H_

#include <vector>

#include "plugin_host.h"

namespace cornerrt {

// Makes CornerDecode plugins from a node's attributes, or from what a plugin wrote into an engine.
//
// Fields, all required: "top_k", "nms_kernel", "num_dets" (int32), "ae_threshold", "scale_x",
// "scale_y" (float32), "pair_score" (text: mean or geometric).
class CornerDecodeCreator : public nvinfer1::IPluginCreatorV3One {
 public:
  CornerDecodeCreator();

  const char* getPluginName() const noexcept override;
  const char* getPluginVersion() const noexcept override;
  const char* getPluginNamespace() const noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override;

  // Returns nullptr after an error message if a field is missing, of another type or out of range.
  nvinfer1::IPluginV3* createPlugin(const char* name,
                                    const nvinfer1::PluginFieldCollection* fields,
                                    nvinfer1::TensorRTPhase phase) noexcept override;

 private:
  std::vector<nvinfer1::PluginField> names_;
  nvinfer1::PluginFieldCollection fields_;
};

}  // namespace cornerrt

#endif  // CORNERRT_CORNER_DECODE_PLUGIN_H_
