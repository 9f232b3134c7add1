"""Pictures on their way to the GPU: copied while the network is still at the one before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from runtime.cuda_memory import Device, DeviceBuffer, Event, HostBuffer, Stream
from runtime.errors import BackendError

# A pipeline holds five for each camera, four that wait and one being prepared, and a batch in the
# network. Only what is held takes memory; whoever holds this many never gives any back.
MAX_SLOTS = 256


class UploadedFrame:
    """A picture on the GPU, or on its way there.

    Its memory is used again as soon as nobody refers to it: hold it until the work that reads it
    is done.

    Attributes:
        address: Device address of its first byte.
        size: In bytes.
        arrived: Passed when all of it is there; let the stream that reads it wait for this.
    """

    def __init__(self, slot: _Slot, size: int, free: deque[_Slot]) -> None:
        self.address = slot.address
        self.size = size
        self.arrived = slot.arrived
        self._slot = slot
        self._free = free

    def __del__(self) -> None:
        """Give the memory back; a deque needs no lock for this, whichever thread it is."""
        self._free.append(self._slot)


class UploadRing:
    """A few pairs of pinned and device buffers that take turns, and a stream that copies.

    Buffers are made for the first pictures and after that only when a larger one comes. ``upload``
    may run in another thread than the one that reads; only one thread may call it.

    Args:
        device: Its context must be current here and in every call.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._stream = Stream()
        self._slots: list[_Slot] = []
        self._free: deque[_Slot] = deque()

    def upload(self, shape: tuple[int, ...], fill: Callable[[np.ndarray], object]) -> UploadedFrame:
        """Send an array to the GPU, without waiting for it to arrive.

        Args:
            shape: Of the uint8 array.
            fill: Writes its elements into the pinned array (``shape``) that it is given, which is
                not to be kept.

        Raises:
            BackendError: If memory runs out, or too many frames are held.
        """
        size = int(np.prod(shape))
        slot = self._take(size)
        frame = UploadedFrame(slot, size, self._free)
        pinned = slot.host.array[:size]
        fill(pinned.reshape(shape))
        if slot.device is not None:
            self._stream.copy_to_device(slot.address, pinned)
            slot.arrived.record(self._stream)
        return frame

    def close(self) -> None:
        """Free everything; whoever reads uploaded frames must be done."""
        self._stream.close()
        for slot in self._slots:
            slot.close()
        self._slots.clear()

    def _take(self, size: int) -> _Slot:
        """Return a slot of at least ``size`` bytes that nobody uses."""
        if self._free:
            slot = self._free.popleft()
            # Dropped unread, its last copy may still be under way: nobody reads what that brings.
            if slot.host.array.size >= size:
                return slot
            self._slots.remove(slot)
            slot.close()
        if len(self._slots) >= MAX_SLOTS:
            raise BackendError(
                f"{len(self._slots)} prepared pictures are held; expected fewer than {MAX_SLOTS}; "
                "infer or drop some before preparing more"
            )
        slot = _Slot(size, in_place=self._device.maps_host_memory)
        self._slots.append(slot)
        return slot


class _Slot:
    """Room for one picture; ``device`` is None where the GPU reads the pinned memory in place."""

    def __init__(self, size: int, in_place: bool) -> None:
        self.host = HostBuffer(size, "a picture on its way to the GPU")
        try:
            self.device = None if in_place else DeviceBuffer(size, "a picture on the GPU")
        except BackendError:
            self.host.close()
            raise
        self.address = self.device.address if self.device else self.host.device_address
        self.arrived = Event()

    def close(self) -> None:
        self.arrived.synchronize()
        self.host.close()
        if self.device is not None:
            self.device.close()
        self.arrived.close()
