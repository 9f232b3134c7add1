// The TensorRT plugin around corner pooling: ONNX node cornerrt.CornerPool, one input, one output.
#ifndef CORNERRT_CORNER_POOL_PLUGIN_H_
#define CORNERRT_CORNER_POOL_PLUGIN_H_

#include "plugin_host.h"

namespace cornerrt {

// Makes CornerPool plugins from a node's attributes, or from what a plugin wrote into an engine.
//
// The only field is "direction": top, bottom, left or right.
class CornerPoolCreator : public nvinfer1::IPluginCreatorV3One {
 public:
  CornerPoolCreator();

  const char* getPluginName() const noexcept override;
  const char* getPluginVersion() const noexcept override;
  const char* getPluginNamespace() const noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override;

  // Returns nullptr after an error message if the direction is missing or unknown.
  nvinfer1::IPluginV3* createPlugin(const char* name,
                                    const nvinfer1::PluginFieldCollection* fields,
                                    nvinfer1::TensorRTPhase phase) noexcept override;

 private:
  nvinfer1::PluginField field_;
  nvinfer1::PluginFieldCollection fields_;
};

}  // namespace cornerrt

#endif  // CORNERRT_CORNER_POOL_PLUGIN_H_
