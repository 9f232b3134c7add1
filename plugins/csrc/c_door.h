// Functions that the built library offers to everyone, besides what TensorRT calls.
#ifndef CORNERRT_C_DOOR_H_
#define CORNERRT_C_DOOR_H_

#define CORNERRT_C_DOOR extern "C" __attribute__((visibility("default")))

#endif  // CORNERRT_C_DOOR_H_
