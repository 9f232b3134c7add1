#include "corner_decode_plugin.h"

#include <array>
#include <new>
#include <string>

#include "corner_decode_fields.h"
#include "corner_decode_kernel.h"

namespace cornerrt {
namespace {

using nvinfer1::DataType;

constexpr char kName[] = "CornerDecode";
constexpr int32_t kInputs = 6;
constexpr int32_t kOutputs = 4;
constexpr int32_t kClassIds = 2;  // the output that holds integers
using MapDims = std::array<nvinfer1::Dims, kInputs>;

MapDims DimsOf(const nvinfer1::PluginTensorDesc* inputs) {
  MapDims maps;
  for (int32_t i = 0; i < kInputs; ++i) maps[i] = inputs[i].dims;
  return maps;
}

// Extents of the first heatmap, if the six maps fit together.
bool ReadShape(const MapDims& maps, HeatmapShape* shape) {
  const auto& extents = maps[0].d;
  const int64_t channels[kInputs] = {extents[1], extents[1], 1, 1, 2, 2};
  for (int32_t i = 0; i < kInputs; ++i) {
    bool fits = maps[i].nbDims == 4 && maps[i].d[1] == channels[i];
    for (const int axis : {0, 2, 3}) fits = fits && maps[i].d[axis] == extents[axis];
    if (!fits) {
      LogError("CornerDecode got maps that do not fit together (input " + std::to_string(i) +
               "); expected heatmaps (N, C, h, w), embeddings (N, 1, h, w), offsets (N, 2, h, w)");
      return false;
    }
  }
  *shape = {extents[0], extents[1], extents[2], extents[3]};
  return true;
}

// Whether maps can be decoded; says why not.
bool CanDecode(const MapDims& maps, const DecodeParameters& parameters) {
  HeatmapShape shape{};
  if (!ReadShape(maps, &shape)) return false;
  if (shape.batch == 0 || CornerDecodeWorkspaceBytes(shape, parameters) > 0) return true;
  LogError("CornerDecode cannot decode maps of " + std::to_string(shape.classes) + " x " +
           std::to_string(shape.height) + " x " + std::to_string(shape.width) +
           " cells; expected at least top_k = " + std::to_string(parameters.top_k) +
           " and less than 2^30 cells; use another input size");
  return false;
}

class CornerDecodePlugin : public nvinfer1::IPluginV3,
                           public nvinfer1::IPluginV3OneCore,
                           public nvinfer1::IPluginV3OneBuild,
                           public nvinfer1::IPluginV3OneRuntime {
 public:
  explicit CornerDecodePlugin(const DecodeParameters& parameters)
      : parameters_(parameters), timing_id_(DescribeForTiming(parameters)) {}

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
    return new (std::nothrow) CornerDecodePlugin(parameters_);
  }

  // --- core

  const char* getPluginName() const noexcept override { return kName; }
  const char* getPluginVersion() const noexcept override { return kPluginVersion; }
  const char* getPluginNamespace() const noexcept override { return kPluginNamespace; }

  // --- build

  int32_t getNbOutputs() const noexcept override { return kOutputs; }

  int32_t getOutputDataTypes(DataType* output_types, int32_t, const DataType*,
                             int32_t) const noexcept override {
    for (int32_t i = 0; i < kOutputs; ++i) {
      output_types[i] = i == kClassIds ? DataType::kINT32 : DataType::kFLOAT;
    }
    return 0;
  }

  int32_t getOutputShapes(const nvinfer1::DimsExprs* inputs, int32_t input_count,
                          const nvinfer1::DimsExprs*, int32_t, nvinfer1::DimsExprs* outputs,
                          int32_t, nvinfer1::IExprBuilder& expressions) noexcept override {
    if (input_count != kInputs) {
      LogError("CornerDecode got " + std::to_string(input_count) +
               " inputs; expected six: tl_heat br_heat tl_tag br_tag tl_off br_off");
      return -1;
    }
    for (int32_t i = 0; i < kInputs; ++i) {
      if (inputs[i].nbDims == 4) continue;
      LogError("CornerDecode got an input of " + std::to_string(inputs[i].nbDims) +
               " dimensions; expected 4: (N, C, h, w)");
      return -1;
    }
    const int64_t last[kOutputs] = {4, 0, 0, 2};
    for (int32_t i = 0; i < kOutputs; ++i) {
      outputs[i].nbDims = last[i] ? 3 : 2;
      outputs[i].d[0] = inputs[0].d[0];
      outputs[i].d[1] = expressions.constant(parameters_.num_dets);
      if (last[i]) outputs[i].d[2] = expressions.constant(last[i]);
    }
    return 0;
  }

  bool supportsFormatCombination(int32_t position,
                                 const nvinfer1::DynamicPluginTensorDesc* tensors, int32_t,
                                 int32_t) noexcept override {
    const nvinfer1::PluginTensorDesc& tensor = tensors[position].desc;
    const DataType type = position == kInputs + kClassIds ? DataType::kINT32 : DataType::kFLOAT;
    return tensor.type == type && tensor.format == nvinfer1::TensorFormat::kLINEAR;
  }

  int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc* inputs, int32_t,
                          const nvinfer1::DynamicPluginTensorDesc*, int32_t) noexcept override {
    MapDims smallest;
    MapDims largest;
    for (int32_t i = 0; i < kInputs; ++i) {
      smallest[i] = inputs[i].min;
      largest[i] = inputs[i].max;
    }
    return CanDecode(smallest, parameters_) && CanDecode(largest, parameters_) ? 0 : -1;
  }

  size_t getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc* inputs, int32_t,
                          const nvinfer1::DynamicPluginTensorDesc*,
                          int32_t) const noexcept override {
    const nvinfer1::Dims& largest = inputs[0].max;
    return CornerDecodeWorkspaceBytes({largest.d[0], largest.d[1], largest.d[2], largest.d[3]},
                                      parameters_);
  }

  const char* getTimingCacheID() noexcept override { return timing_id_.c_str(); }

  // --- run time

  int32_t onShapeChange(const nvinfer1::PluginTensorDesc* inputs, int32_t,
                        const nvinfer1::PluginTensorDesc*, int32_t) noexcept override {
    return CanDecode(DimsOf(inputs), parameters_) ? 0 : -1;
  }

  int32_t enqueue(const nvinfer1::PluginTensorDesc* inputs, const nvinfer1::PluginTensorDesc*,
                  const void* const* input_data, void* const* output_data, void* workspace,
                  cudaStream_t stream) noexcept override {
    HeatmapShape shape{};
    if (!ReadShape(DimsOf(inputs), &shape)) return -1;
    const auto map = [&](int32_t i) { return static_cast<const float*>(input_data[i]); };
    const DecodeInputs maps{map(0), map(1), map(2), map(3), map(4), map(5)};
    const DecodeOutputs rows{
        static_cast<float*>(output_data[0]), static_cast<float*>(output_data[1]),
        static_cast<int32_t*>(output_data[2]), static_cast<float*>(output_data[3])};
    const cudaError_t status = CornerDecode(shape, parameters_, maps, rows, workspace, stream);
    if (status != cudaSuccess) {
      LogError(std::string("CornerDecode could not be launched: ") + cudaGetErrorString(status) +
               "; expected a kernel for this GPU in the plugin library; build it on this machine: "
               "make plugins");
    }
    return static_cast<int32_t>(status);
  }

  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext*) noexcept override {
    return clone();
  }

  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override {
    field_values_ = MakeFields(&parameters_);
    fields_ = CollectionOf(field_values_);
    return &fields_;
  }

 private:
  const DecodeParameters parameters_;
  const std::string timing_id_;
  std::vector<nvinfer1::PluginField> field_values_;
  nvinfer1::PluginFieldCollection fields_{};
};

}  // namespace

CornerDecodeCreator::CornerDecodeCreator()
    : names_(MakeFields(nullptr)), fields_(CollectionOf(names_)) {}

const char* CornerDecodeCreator::getPluginName() const noexcept { return kName; }
const char* CornerDecodeCreator::getPluginVersion() const noexcept { return kPluginVersion; }
const char* CornerDecodeCreator::getPluginNamespace() const noexcept { return kPluginNamespace; }
const nvinfer1::PluginFieldCollection* CornerDecodeCreator::getFieldNames() noexcept {
  return &fields_;
}

nvinfer1::IPluginV3* CornerDecodeCreator::createPlugin(
    const char* name, const nvinfer1::PluginFieldCollection* fields,
    nvinfer1::TensorRTPhase) noexcept {
  DecodeParameters parameters{};
  const std::string node = std::string(kName) + " " + (name ? name : "");
  if (!ReadFields(node, fields, &parameters)) return nullptr;
  return new (std::nothrow) CornerDecodePlugin(parameters);
}

}  // namespace cornerrt
