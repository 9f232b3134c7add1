#include "corner_pool_plugin.h"

#include <cstring>
#include <new>
#include <optional>
#include <string>

#include "corner_pool_kernel.h"

namespace cornerrt {
namespace {

using nvinfer1::DataType;
using nvinfer1::TensorFormat;

constexpr char kName[] = "CornerPool";
constexpr char kDirectionField[] = "direction";
constexpr const char* kDirectionNames[] = {"top", "bottom", "left", "right"};  // as Direction

std::optional<Direction> DirectionFromName(const std::string& name) {
  for (int i = 0; i < 4; ++i) {
    if (name == kDirectionNames[i]) return static_cast<Direction>(i);
  }
  return std::nullopt;
}

std::optional<NumberType> NumberTypeFrom(DataType type) {
  switch (type) {
    case DataType::kFLOAT:
      return NumberType::kFloat;
    case DataType::kHALF:
      return NumberType::kHalf;
    case DataType::kINT8:
      return NumberType::kInt8;
    default:
      return std::nullopt;
  }
}

std::optional<Layout> LayoutFrom(TensorFormat format) {
  switch (format) {
    case TensorFormat::kLINEAR:
      return Layout::kLinear;
    case TensorFormat::kHWC:
      return Layout::kHwc;
    case TensorFormat::kHWC8:
      return Layout::kHwc8;
    case TensorFormat::kCHW32:
      return Layout::kChw32;
    default:
      return std::nullopt;
  }
}

// The layouts that keep TensorRT from rearranging the tensor before and after us.
//
// TensorRT-RTX runs convolutions in HWC, for int8 in a layout that it does not offer to plugins. It
// cannot time an offer ahead of time, and of several takes a worse one: so it gets one per type.
// The full TensorRT knows HWC for half only as HWC8, and times what it is offered.
bool IsOfferedToRtx(DataType type, TensorFormat format) {
  switch (type) {
    case DataType::kFLOAT:
    case DataType::kHALF:
      return format == TensorFormat::kHWC;
    case DataType::kINT8:
      return format == TensorFormat::kLINEAR;
    default:
      return false;
  }
}

bool IsOfferedToTensorRt(DataType type, TensorFormat format) {
  switch (type) {
    case DataType::kFLOAT:
      return format == TensorFormat::kLINEAR;
    case DataType::kHALF:
      return format == TensorFormat::kLINEAR || format == TensorFormat::kHWC8;
    case DataType::kINT8:
      return format == TensorFormat::kLINEAR || format == TensorFormat::kCHW32;
    default:
      return false;
  }
}

bool IsOffered(DataType type, TensorFormat format) {
  return IsHostTensorRtRtx() ? IsOfferedToRtx(type, format) : IsOfferedToTensorRt(type, format);
}

class CornerPoolPlugin : public nvinfer1::IPluginV3,
                         public nvinfer1::IPluginV3OneCore,
                         public nvinfer1::IPluginV3OneBuild,
                         public nvinfer1::IPluginV3OneRuntime {
 public:
  explicit CornerPoolPlugin(Direction direction) : direction_(direction) {}

  nvinfer1::IPluginCapability* getCapabilityInterface(
      nvinfer1::PluginCapabilityType type) noexcept override {
    switch (type) {
      case nvinfer1::PluginCapabilityType::kCORE:
        return static_cast<nvinfer1::IPluginV3OneCore*>(this);
      case nvinfer1::PluginCapabilityType::kBUILD:
        return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
      case nvinfer1::PluginCapabilityType::kRUNTIME:
        return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    }
    return nullptr;
  }
  nvinfer1::IPluginV3* clone() noexcept override {
    return new (std::nothrow) CornerPoolPlugin(direction_);
  }

  // --- core

  const char* getPluginName() const noexcept override { return kName; }
  const char* getPluginVersion() const noexcept override { return kPluginVersion; }
  const char* getPluginNamespace() const noexcept override { return kPluginNamespace; }

  // --- build

  int32_t getNbOutputs() const noexcept override { return 1; }

  int32_t getOutputDataTypes(DataType* output_types, int32_t, const DataType* input_types,
                             int32_t) const noexcept override {
    output_types[0] = input_types[0];
    return 0;
  }

  int32_t getOutputShapes(const nvinfer1::DimsExprs* inputs, int32_t input_count,
                          const nvinfer1::DimsExprs*, int32_t, nvinfer1::DimsExprs* outputs,
                          int32_t, nvinfer1::IExprBuilder&) noexcept override {
    if (input_count != 1) {
      LogError("CornerPool got " + std::to_string(input_count) + " inputs; expected one");
      return -1;
    }
    if (!HasFourExtents(inputs[0].nbDims)) return -1;
    outputs[0] = inputs[0];
    return 0;
  }

  bool supportsFormatCombination(int32_t position,
                                 const nvinfer1::DynamicPluginTensorDesc* tensors, int32_t,
                                 int32_t) noexcept override {
    const nvinfer1::PluginTensorDesc& tensor = tensors[position].desc;
    const nvinfer1::PluginTensorDesc& input = tensors[0].desc;
    return IsOffered(tensor.type, tensor.format) && tensor.type == input.type &&
           tensor.format == input.format;
  }

  int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc*, int32_t,
                          const nvinfer1::DynamicPluginTensorDesc*, int32_t) noexcept override {
    return 0;
  }

  // Two nodes of one direction share their timing; without an identity nothing would be cached.
  const char* getTimingCacheID() noexcept override { return DirectionName(); }

  // --- run time

  int32_t onShapeChange(const nvinfer1::PluginTensorDesc* inputs, int32_t,
                        const nvinfer1::PluginTensorDesc*, int32_t) noexcept override {
    return HasFourExtents(inputs[0].dims.nbDims) ? 0 : -1;
  }

  int32_t enqueue(const nvinfer1::PluginTensorDesc* inputs, const nvinfer1::PluginTensorDesc*,
                  const void* const* input_data, void* const* output_data, void*,
                  cudaStream_t stream) noexcept override {
    const std::optional<NumberType> type = NumberTypeFrom(inputs[0].type);
    const std::optional<Layout> layout = LayoutFrom(inputs[0].format);
    if (!type || !layout) {
      LogError("CornerPool was run with a type or format that it never offered; build the engine "
               "again with this plugin library");
      return -1;
    }
    const auto& extents = inputs[0].dims.d;
    const FeatureMap map{*type, *layout, {extents[0], extents[1], extents[2], extents[3]}};
    const cudaError_t status = CornerPool(map, direction_, input_data[0], output_data[0], stream);
    if (status != cudaSuccess) {
      LogError(std::string("CornerPool could not be launched: ") + cudaGetErrorString(status) +
               "; expected a kernel for this GPU in the plugin library; build it on this machine: "
               "make plugins");
    }
    return static_cast<int32_t>(status);
  }

  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext*) noexcept override {
    return clone();
  }

  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override {
    const char* name = DirectionName();
    field_ = {kDirectionField, name, nvinfer1::PluginFieldType::kCHAR,
              static_cast<int32_t>(std::strlen(name)) + 1};
    fields_ = {1, &field_};
    return &fields_;
  }

 private:
  const char* DirectionName() const { return kDirectionNames[static_cast<int>(direction_)]; }

  static bool HasFourExtents(int32_t extents) {
    if (extents == 4) return true;
    LogError("CornerPool got an input of " + std::to_string(extents) +
             " dimensions; expected 4: (N, C, H, W)");
    return false;
  }

  const Direction direction_;
  nvinfer1::PluginField field_{};
  nvinfer1::PluginFieldCollection fields_{};
};

// The text of a field. ONNX parsers count a string's final NUL; others need not.
std::string FieldText(const nvinfer1::PluginField& field) {
  const auto* text = static_cast<const char*>(field.data);
  return text ? std::string(text, strnlen(text, static_cast<size_t>(field.length))) : "";
}

}  // namespace

CornerPoolCreator::CornerPoolCreator()
    : field_{kDirectionField, nullptr, nvinfer1::PluginFieldType::kCHAR, 1}, fields_{1, &field_} {}

const char* CornerPoolCreator::getPluginName() const noexcept { return kName; }
const char* CornerPoolCreator::getPluginVersion() const noexcept { return kPluginVersion; }
const char* CornerPoolCreator::getPluginNamespace() const noexcept { return kPluginNamespace; }
const nvinfer1::PluginFieldCollection* CornerPoolCreator::getFieldNames() noexcept {
  return &fields_;
}

nvinfer1::IPluginV3* CornerPoolCreator::createPlugin(
    const char* name, const nvinfer1::PluginFieldCollection* fields,
    nvinfer1::TensorRTPhase) noexcept {
  const std::string node = std::string("CornerPool ") + (name ? name : "");
  for (int32_t i = 0; fields && i < fields->nbFields; ++i) {
    const nvinfer1::PluginField& field = fields->fields[i];
    if (!field.name || std::strcmp(field.name, kDirectionField) != 0) continue;
    if (field.type != nvinfer1::PluginFieldType::kCHAR) {
      LogError(node + ": attribute direction is no string; expected top, bottom, left or right");
      return nullptr;
    }
    const std::string text = FieldText(field);
    if (const std::optional<Direction> direction = DirectionFromName(text)) {
      return new (std::nothrow) CornerPoolPlugin(*direction);
    }
    LogError(node + " got direction '" + text + "'; expected top, bottom, left or right");
    return nullptr;
  }
  LogError(node + " has no attribute direction; expected top, bottom, left or right");
  return nullptr;
}

}  // namespace cornerrt
