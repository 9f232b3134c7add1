// The letterbox on the GPU: any picture, scaled onto the network's canvas with black borders.
#ifndef CORNERRT_LETTERBOX_KERNEL_H_
#define CORNERRT_LETTERBOX_KERNEL_H_

#include <cstdint>

#include "launch.h"

namespace cornerrt {

// Where the picture goes; all in pixels. runtime/letterbox_gpu.py fills the same structure.
struct LetterboxGeometry {
  int32_t image_height, image_width;
  int32_t canvas_height, canvas_width;
  int32_t resized_height, resized_width;  // of the picture on the canvas
  int32_t top, left;                      // canvas pixels above and left of it
  int32_t padding;                        // value of the border, 0 to 255
};

// Enqueues one letterbox.
//
// Bilinear, without smoothing, between pixel centres at half coordinates: at most one level away
// from cv2.resize with INTER_LINEAR, and equal to the picture where the size does not change.
//
//   image     uint8 (image_height, image_width, 3), rows adjacent; not modified
//   canvas    uint8 (canvas_height, canvas_width, 3), written completely; must not overlap image
//
// Both are device addresses, or host memory that is mapped for the device. Returns
// cudaErrorInvalidValue, and enqueues nothing, if the geometry contradicts itself or a product of
// two sizes of one axis leaves 30 bits (no camera comes near). Safe in a CUDA graph.
cudaError_t Letterbox(const uint8_t* image, uint8_t* canvas, const LetterboxGeometry& geometry,
                      cudaStream_t stream);

}  // namespace cornerrt

#endif  // CORNERRT_LETTERBOX_KERNEL_H_
