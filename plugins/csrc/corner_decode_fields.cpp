#include "corner_decode_fields.h"

#include <cstring>
#include <utility>

namespace cornerrt {
namespace {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

constexpr const char* kPairScoreNames[] = {"mean", "geometric"};  // as PairScore
constexpr char kPairScoreField[] = "pair_score";

// A parameter that is a number, and the field that holds it.
template <typename Number>
struct NumberField {
  const char* name;
  Number DecodeParameters::* parameter;
};
constexpr NumberField<int32_t> kIntegerFields[] = {{"top_k", &DecodeParameters::top_k},
                                                   {"nms_kernel", &DecodeParameters::nms_kernel},
                                                   {"num_dets", &DecodeParameters::num_dets}};
constexpr NumberField<float> kFloatFields[] = {{"ae_threshold", &DecodeParameters::ae_threshold},
                                               {"scale_x", &DecodeParameters::scale_x},
                                               {"scale_y", &DecodeParameters::scale_y}};

const char* PairScoreName(PairScore score) { return kPairScoreNames[static_cast<int>(score)]; }

// Reads parameters out of fields; the first thing that is wrong is logged and stops it.
class FieldReader {
 public:
  FieldReader(std::string node, const nvinfer1::PluginFieldCollection* fields)
      : node_(std::move(node)), fields_(fields) {}

  bool Read(DecodeParameters* parameters) const {
    for (const auto& [name, parameter] : kIntegerFields) {
      if (!ReadNumber(name, PluginFieldType::kINT32, &(parameters->*parameter))) return false;
    }
    for (const auto& [name, parameter] : kFloatFields) {
      if (!ReadNumber(name, PluginFieldType::kFLOAT32, &(parameters->*parameter))) return false;
    }
    return ReadPairScore(&parameters->pair_score) && IsInRange(*parameters);
  }

 private:
  const PluginField* Find(const char* name, PluginFieldType type, const char* expected) const {
    for (int32_t i = 0; fields_ && i < fields_->nbFields; ++i) {
      const PluginField& field = fields_->fields[i];
      if (!field.name || std::strcmp(field.name, name) != 0) continue;
      if (field.type == type && field.data && field.length >= 1) return &field;
    }
    Refuse(std::string("has no attribute ") + name + "; expected " + expected);
    return nullptr;
  }

  template <typename Number>
  bool ReadNumber(const char* name, PluginFieldType type, Number* number) const {
    const char* expected = type == PluginFieldType::kINT32 ? "an integer" : "a float";
    const PluginField* field = Find(name, type, expected);
    if (field) std::memcpy(number, field->data, sizeof(Number));
    return field != nullptr;
  }

  bool ReadPairScore(PairScore* score) const {
    const PluginField* field = Find(kPairScoreField, PluginFieldType::kCHAR, "mean or geometric");
    if (!field) return false;
    const auto* data = static_cast<const char*>(field->data);
    // ONNX parsers count a string's final NUL; others need not.
    const std::string text(data, strnlen(data, static_cast<size_t>(field->length)));
    for (const PairScore known : {PairScore::kMean, PairScore::kGeometric}) {
      if (text != PairScoreName(known)) continue;
      *score = known;
      return true;
    }
    return Refuse("got pair_score '" + text + "'; expected mean or geometric");
  }

  bool IsInRange(const DecodeParameters& parameters) const {
    if (parameters.top_k < 1 || parameters.top_k > kMostCorners) {
      return Refuse("got top_k " + std::to_string(parameters.top_k) + "; expected 1 to " +
                    std::to_string(kMostCorners) + "; export with another, or build plugin-free");
    }
    const int32_t pairs = parameters.top_k * parameters.top_k;
    if (parameters.num_dets < 1 || parameters.num_dets > pairs) {
      return Refuse("got num_dets " + std::to_string(parameters.num_dets) +
                    "; expected 1 to top_k * top_k = " + std::to_string(pairs));
    }
    const int32_t window = parameters.nms_kernel;
    if (window < 1 || window > 7 || window % 2 == 0) {
      return Refuse("got nms_kernel " + std::to_string(window) + "; expected 1, 3, 5 or 7");
    }
    return true;
  }

  bool Refuse(const std::string& reason) const {
    LogError(node_ + " " + reason);
    return false;
  }

  const std::string node_;
  const nvinfer1::PluginFieldCollection* const fields_;
};

}  // namespace

std::vector<PluginField> MakeFields(const DecodeParameters* parameters) {
  std::vector<PluginField> fields;
  for (const auto& [name, parameter] : kIntegerFields) {
    fields.push_back({name, parameters ? &(parameters->*parameter) : nullptr,
                      PluginFieldType::kINT32, 1});
  }
  for (const auto& [name, parameter] : kFloatFields) {
    fields.push_back({name, parameters ? &(parameters->*parameter) : nullptr,
                      PluginFieldType::kFLOAT32, 1});
  }
  const char* score = parameters ? PairScoreName(parameters->pair_score) : nullptr;
  fields.push_back({kPairScoreField, score, PluginFieldType::kCHAR,
                    score ? static_cast<int32_t>(std::strlen(score)) + 1 : 1});
  return fields;
}

nvinfer1::PluginFieldCollection CollectionOf(const std::vector<PluginField>& fields) {
  return {static_cast<int32_t>(fields.size()), fields.data()};
}

std::string DescribeForTiming(const DecodeParameters& parameters) {
  std::string text = PairScoreName(parameters.pair_score);
  for (const auto& [name, parameter] : kIntegerFields) {
    text += std::string(" ") + name + std::to_string(parameters.*parameter);
  }
  return text;
}

bool ReadFields(const std::string& node, const nvinfer1::PluginFieldCollection* fields,
                DecodeParameters* parameters) {
  return FieldReader(node, fields).Read(parameters);
}

}  // namespace cornerrt
