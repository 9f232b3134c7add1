// The attributes of a CornerDecode node, as the fields in which TensorRT hands them over and keeps
// them in engines; corner_decode_plugin.h lists them.
#ifndef CORNERRT_CORNER_DECODE_FIELDS_H_
#define CORNERRT_CORNER_DECODE_FIELDS_H_

#include <string>
#include <vector>

#include "corner_decode_kernel.h"
#include "plugin_host.h"

namespace cornerrt {

// Describes the fields; with parameters, their values too. The parameters must outlive the fields.
std::vector<nvinfer1::PluginField> MakeFields(const DecodeParameters* parameters);

// The same fields as TensorRT takes them; they must outlive the collection.
nvinfer1::PluginFieldCollection CollectionOf(const std::vector<nvinfer1::PluginField>& fields);

// Reads parameters out of fields; the first thing that is missing, of another type or out of range
// is logged, with the node's name, and makes this false.
bool ReadFields(const std::string& node, const nvinfer1::PluginFieldCollection* fields,
                DecodeParameters* parameters);

// A text that plugins share if their kernels take the same time.
std::string DescribeForTiming(const DecodeParameters& parameters);

}  // namespace cornerrt

#endif  // CORNERRT_CORNER_DECODE_FIELDS_H_
