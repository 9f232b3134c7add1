// A program that uses the plugin library as the full TensorRT does, and prints what it gets.
#include <NvInferRuntime.h>
#include <NvInferRuntimePlugin.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <initializer_list>

using namespace nvinfer1;

namespace {

class PrintingLogger : public ILogger {
 public:
  void log(Severity, const char* message) noexcept override { std::printf("log: %s\n", message); }
};

class Finder : public ILoggerFinder {
 public:
  ILogger* findLogger() override { return &logger_; }

 private:
  PrintingLogger logger_;
};

IPluginV3* Create(IPluginCreatorV3One& creator, PluginField field, TensorRTPhase phase) {
  const PluginFieldCollection fields{1, &field};
  return creator.createPlugin("node", &fields, phase);
}

template <typename T>
T& Capability(IPluginV3& plugin, PluginCapabilityType type) {
  return *static_cast<T*>(plugin.getCapabilityInterface(type));
}

const PluginField& SerializedField(IPluginV3& plugin) {
  auto& runtime = Capability<IPluginV3OneRuntime>(plugin, PluginCapabilityType::kRUNTIME);
  return runtime.getFieldsToSerialize()->fields[0];
}

void PrintRoundTrip(IPluginCreatorV3One& creator, const char* direction, int32_t length) {
  IPluginV3* built = Create(creator, {"direction", direction, PluginFieldType::kCHAR, length},
                            TensorRTPhase::kBUILD);
  IPluginV3* copy = built->clone();
  IPluginV3* loaded = Create(creator, SerializedField(*copy), TensorRTPhase::kRUNTIME);
  const PluginField& field = SerializedField(*loaded);
  std::printf("fields: %s=%s length %d\n", field.name, static_cast<const char*>(field.data),
              field.length);
  delete built;
  delete copy;
  delete loaded;
}

void PrintFormats(IPluginV3& plugin) {
  auto& build = Capability<IPluginV3OneBuild>(plugin, PluginCapabilityType::kBUILD);
  for (const DataType type : {DataType::kFLOAT, DataType::kHALF, DataType::kINT8, DataType::kINT32,
                              DataType::kBF16}) {
    std::printf("type %d formats:", static_cast<int>(type));
    for (int format = 0; format < EnumMax<TensorFormat>(); ++format) {
      DynamicPluginTensorDesc tensors[2]{};
      for (auto& tensor : tensors) {
        tensor.desc.type = type;
        tensor.desc.format = static_cast<TensorFormat>(format);
      }
      const bool offered = build.supportsFormatCombination(0, tensors, 1, 1) &&
                           build.supportsFormatCombination(1, tensors, 1, 1);
      if (offered) std::printf(" %d", format);
      // the output must be what the input is
      tensors[0].desc.format = TensorFormat::kCHW4;
      if (build.supportsFormatCombination(1, tensors, 1, 1)) std::printf(" mixed");
    }
    std::printf("\n");
  }
}

}  // namespace

int main(int, char** arguments) {
  void* library = dlopen(arguments[1], RTLD_NOW);
  if (!library) {
    std::printf("%s\n", dlerror());
    return 1;
  }
  using GetCreators = IPluginCreatorInterface* const* (*)(int32_t&);
  using SetFinder = void (*)(ILoggerFinder*);
  const auto get_creators = reinterpret_cast<GetCreators>(dlsym(library, "getCreators"));
  Finder finder;
  reinterpret_cast<SetFinder>(dlsym(library, "setLoggerFinder"))(&finder);
  int32_t count = 0;
  IPluginCreatorInterface* const* creators = get_creators(count);
  for (int32_t i = 0; i < count; ++i) {
    auto& creator = *static_cast<IPluginCreatorV3One*>(creators[i]);
    std::printf("creator: %s %s %s\n", creator.getPluginName(), creator.getPluginVersion(),
                creator.getPluginNamespace());
    if (std::strcmp(creator.getPluginName(), "CornerPool") != 0) continue;
    for (const char* direction : {"top", "bottom", "left", "right"}) {
      PrintRoundTrip(creator, direction, static_cast<int32_t>(std::strlen(direction)) + 1);
    }
    PrintRoundTrip(creator, "top and more", 3);  // no final NUL
    IPluginV3* plugin = Create(creator, {"direction", "top", PluginFieldType::kCHAR, 4},
                               TensorRTPhase::kBUILD);
    PrintFormats(*plugin);
    delete plugin;
    const int32_t number = 1;
    const PluginField wrong[] = {{"direction", "up", PluginFieldType::kCHAR, 3},
                                 {"direction", "Top", PluginFieldType::kCHAR, 4},
                                 {"direction", &number, PluginFieldType::kINT32, 1},
                                 {"direction", nullptr, PluginFieldType::kCHAR, 0},
                                 {"axis", &number, PluginFieldType::kINT32, 1}};
    for (const PluginField& field : wrong) {
      if (Create(creator, field, TensorRTPhase::kBUILD)) std::printf("accepted\n");
    }
  }
  return 0;
}
