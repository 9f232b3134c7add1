// A program that makes a CornerDecode plugin as TensorRT does, and prints what it is like.
//
//     decode_host_program LIBRARY top_k=4 ae_threshold=0.5f pair_score=mean ...
//
// Values are integers, floats with a final f, or text.
#include <NvInferRuntime.h>
#include <NvInferRuntimePlugin.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

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

struct Value {
  std::string name, text;
  int32_t integer;
  float real;
};

PluginField FieldOf(const Value& value) {
  const std::string& text = value.text;
  char* end = nullptr;
  std::strtof(text.c_str(), &end);
  const char* name = value.name.c_str();
  const bool is_number = end != text.c_str();
  if (is_number && *end == '\0') return {name, &value.integer, PluginFieldType::kINT32, 1};
  if (is_number && *end == 'f') return {name, &value.real, PluginFieldType::kFLOAT32, 1};
  return {name, text.c_str(), PluginFieldType::kCHAR, static_cast<int32_t>(text.size()) + 1};
}

template <typename T>
T& Capability(IPluginV3& plugin, PluginCapabilityType type) {
  return *static_cast<T*>(plugin.getCapabilityInterface(type));
}

const PluginFieldCollection* SerializedFields(IPluginV3& plugin) {
  return Capability<IPluginV3OneRuntime>(plugin, PluginCapabilityType::kRUNTIME)
      .getFieldsToSerialize();
}

void PrintFields(const PluginFieldCollection& fields) {
  for (int32_t i = 0; i < fields.nbFields; ++i) {
    const PluginField& field = fields.fields[i];
    std::printf("field: %s ", field.name);
    if (field.type == PluginFieldType::kINT32) {
      std::printf("%d\n", *static_cast<const int32_t*>(field.data));
    } else if (field.type == PluginFieldType::kFLOAT32) {
      std::printf("%g\n", *static_cast<const float*>(field.data));
    } else {
      std::printf("%s\n", static_cast<const char*>(field.data));
    }
  }
}

// Which of the ten tensors may have which type, all linear; "other" if another layout is taken.
void PrintTypes(IPluginV3& plugin) {
  auto& build = Capability<IPluginV3OneBuild>(plugin, PluginCapabilityType::kBUILD);
  std::printf("types:");
  for (int position = 0; position < 10; ++position) {
    for (int type = 0; type < EnumMax<DataType>(); ++type) {
      DynamicPluginTensorDesc tensors[10]{};
      tensors[position].desc.type = static_cast<DataType>(type);
      if (build.supportsFormatCombination(position, tensors, 6, 4)) std::printf(" %d", type);
      tensors[position].desc.format = TensorFormat::kHWC;
      if (build.supportsFormatCombination(position, tensors, 6, 4)) std::printf(" other");
    }
  }
  DynamicPluginTensorDesc maps[6]{};
  maps[0].max = {4, {2, 80, 128, 128}};
  std::printf("\nworkspace: %zu\n", build.getWorkspaceSize(maps, 6, nullptr, 4));
}

void PrintShapeChange(IPluginV3& plugin, const char* name, int64_t tag_channels, int64_t width) {
  auto& runtime = Capability<IPluginV3OneRuntime>(plugin, PluginCapabilityType::kRUNTIME);
  PluginTensorDesc maps[6]{};
  const int64_t channels[] = {3, 3, tag_channels, tag_channels, 2, 2};
  for (int i = 0; i < 6; ++i) maps[i].dims = {4, {1, channels[i], 4, width}};
  std::printf("shape %s: %d\n", name, runtime.onShapeChange(maps, 6, nullptr, 4));
}

}  // namespace

int main(int count, char** arguments) {
  void* library = dlopen(arguments[1], RTLD_NOW);
  if (!library) return std::printf("%s\n", dlerror()), 1;
  using GetCreators = IPluginCreatorInterface* const* (*)(int32_t&);
  using SetFinder = void (*)(ILoggerFinder*);
  const auto get_creators = reinterpret_cast<GetCreators>(dlsym(library, "getCreators"));
  Finder finder;
  reinterpret_cast<SetFinder>(dlsym(library, "setLoggerFinder"))(&finder);

  std::deque<Value> values;
  std::vector<PluginField> fields;
  for (int i = 2; i < count; ++i) {
    const char* equals = std::strchr(arguments[i], '=');
    const std::string text = equals + 1;
    values.push_back({std::string(arguments[i], equals - arguments[i]), text,
                      std::atoi(text.c_str()), std::strtof(text.c_str(), nullptr)});
    fields.push_back(FieldOf(values.back()));
  }
  const PluginFieldCollection collection{static_cast<int32_t>(fields.size()), fields.data()};
  int32_t creators = 0;
  IPluginCreatorInterface* const* all = get_creators(creators);
  for (int32_t i = 0; i < creators; ++i) {
    auto& creator = *static_cast<IPluginCreatorV3One*>(all[i]);
    if (std::strcmp(creator.getPluginName(), "CornerDecode") != 0) continue;
    IPluginV3* built = creator.createPlugin("node", &collection, TensorRTPhase::kBUILD);
    if (!built) return std::printf("refused\n"), 0;
    IPluginV3* copy = built->clone();
    IPluginV3* loaded =
        creator.createPlugin("node", SerializedFields(*copy), TensorRTPhase::kRUNTIME);
    PrintFields(*SerializedFields(*loaded));
    PrintTypes(*loaded);
    PrintShapeChange(*loaded, "good", 1, 4);
    PrintShapeChange(*loaded, "with two embeddings", 2, 4);
    PrintShapeChange(*loaded, "of few cells", 1, 1);
    delete built;
    delete copy;
    delete loaded;
  }
  return 0;
}
