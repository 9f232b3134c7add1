// The doors through which TensorRT finds our plugins. IPluginRegistry::loadLibrary needs both
// functions; where a program only preloads the library, CORNERRT_SELF_REGISTER does its work.
#include <cstdint>

#include "c_door.h"
#include "corner_decode_plugin.h"
#include "corner_pool_plugin.h"
#include "plugin_host.h"

#ifdef CORNERRT_SELF_REGISTER
#include <dlfcn.h>

#include <string>
#endif

namespace {

cornerrt::CornerPoolCreator corner_pool_creator;
cornerrt::CornerDecodeCreator corner_decode_creator;
nvinfer1::IPluginCreatorV3One* const all_creators[] = {&corner_pool_creator,
                                                       &corner_decode_creator};
constexpr int32_t kCreatorCount = sizeof(all_creators) / sizeof(all_creators[0]);

// The same, as the type that getCreators owes.
nvinfer1::IPluginCreatorInterface* const* CreatorInterfaces() {
  static nvinfer1::IPluginCreatorInterface* interfaces[kCreatorCount];
  for (int32_t i = 0; i < kCreatorCount; ++i) interfaces[i] = all_creators[i];
  return interfaces;
}

}  // namespace

CORNERRT_C_DOOR nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& count) {
  count = kCreatorCount;
  return CreatorInterfaces();
}

CORNERRT_C_DOOR void setLoggerFinder(nvinfer1::ILoggerFinder* finder) {
  cornerrt::SetLoggerFinder(finder);
}

// Name, version and namespace of plugin `index`, or nullptr past the last. Needs no TensorRT.
struct CornerrtPluginName {
  const char* name;
  const char* version;
  const char* name_space;
};

CORNERRT_C_DOOR const CornerrtPluginName* cornerrt_plugin_name(int32_t index) {
  static CornerrtPluginName names[kCreatorCount];
  if (index < 0 || index >= kCreatorCount) return nullptr;
  const nvinfer1::IPluginCreatorV3One& creator = *all_creators[index];
  names[index] = {creator.getPluginName(), creator.getPluginVersion(),
                  creator.getPluginNamespace()};
  return &names[index];
}

#ifdef CORNERRT_SELF_REGISTER
namespace {

#define CORNERRT_TEXT_OF(x) #x
#define CORNERRT_TEXT(x) CORNERRT_TEXT_OF(x)

// The registry's table of functions changed from TensorRT 10 to 11: a library built so works with
// the major version of its headers alone, which is why it asks for that one by name.
bool RegisterAll() {
  constexpr char kTensorRt[] = "libnvinfer.so." CORNERRT_TEXT(NV_TENSORRT_MAJOR);
  void* library = dlopen(kTensorRt, RTLD_NOW | RTLD_LOCAL);
  void* symbol = library ? dlsym(library, "getPluginRegistry") : nullptr;
  if (!symbol) {
    cornerrt::LogError(std::string("found no ") + kTensorRt +
                       "; expected the TensorRT whose headers built this library; put it on "
                       "LD_LIBRARY_PATH, or build the library with its headers");
    return false;
  }
  auto* registry = reinterpret_cast<nvinfer1::IPluginRegistry* (*)()>(symbol)();
  for (int32_t i = 0; i < kCreatorCount; ++i) {
    registry->registerCreator(*CreatorInterfaces()[i], cornerrt::kPluginNamespace);
  }
  return true;
}

// As a variable of this file it comes after the creators above, which a constructor function might
// not.
[[maybe_unused]] const bool registered = RegisterAll();

}  // namespace
#endif
