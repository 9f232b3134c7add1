#include "plugin_host.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdio>
#include <cstring>

namespace cornerrt {
namespace {

std::atomic<nvinfer1::ILoggerFinder*> logger_finder{nullptr};

}  // namespace

void SetLoggerFinder(nvinfer1::ILoggerFinder* finder) { logger_finder = finder; }

void LogError(const std::string& message) {
  nvinfer1::ILoggerFinder* finder = logger_finder;
  nvinfer1::ILogger* logger = finder ? finder->findLogger() : nullptr;
  if (logger) {
    logger->log(nvinfer1::ILogger::Severity::kERROR, message.c_str());
  } else {
    std::fprintf(stderr, "cornerrt: %s\n", message.c_str());
  }
}

bool IsHostTensorRtRtx() {
  const nvinfer1::ILoggerFinder* finder = logger_finder;
  if (!finder) return false;
  // An object with virtual functions starts with the address of its table, which lies in the
  // library that defines it. Symbols would not do: a library opened privately shows us none.
  const void* table = nullptr;
  std::memcpy(&table, static_cast<const void*>(finder), sizeof(table));
  Dl_info library{};
  if (!dladdr(table, &library) || !library.dli_fname) return false;
  const char* name = std::strrchr(library.dli_fname, '/');
  return std::strstr(name ? name : library.dli_fname, "tensorrt_rtx") != nullptr;
}

}  // namespace cornerrt
