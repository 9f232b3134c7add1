// What our plugins know of the program that loaded them, and the names they are registered under.
#ifndef CORNERRT_PLUGIN_HOST_H_
#define CORNERRT_PLUGIN_HOST_H_

#include <NvInferRuntime.h>
#include <NvInferRuntimePlugin.h>

#include <string>

#if NV_TENSORRT_MAJOR < 10
#error "these TensorRT headers are older than 10.0; expected IPluginV3; use those of 10.3 or later"
#endif

namespace cornerrt {

// ONNX nodes say the same in their attributes plugin_version and plugin_namespace.
constexpr char kPluginVersion[] = "1";
constexpr char kPluginNamespace[] = "cornerrt";

// Keeps what TensorRT hands over when it loads the library.
void SetLoggerFinder(nvinfer1::ILoggerFinder* finder);

// Reports an error through the host's logger, or on stderr where it gave none.
void LogError(const std::string& message);

// Whether the host is TensorRT-RTX and not the full TensorRT: the file that the host's logger
// finder comes from tells. False where there is none, as in a program that only preloads us.
bool IsHostTensorRtRtx();

}  // namespace cornerrt

#endif  // CORNERRT_PLUGIN_HOST_H_
