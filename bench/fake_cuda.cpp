// Lets the CPU build of PyTorch differentiate fake tensors whose device is "cuda".
//
// The autograd engine asks the device's guard for streams, and refuses a device that PyTorch was not
// built for. FakeTensorMode computes shapes alone, so a guard that does nothing is all it takes.
// Loaded by fake_cuda.py before torch is imported.
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace {
using namespace c10;

const Device kOnly(kCUDA, 0);

struct Guard final : impl::NoOpDeviceGuardImpl<DeviceType::CUDA> {
  Device exchangeDevice(Device) const override { return kOnly; }
  Device getDevice() const override { return kOnly; }
  Stream getStream(Device) const noexcept override { return Stream(Stream::DEFAULT, kOnly); }
  Stream exchangeStream(Stream) const noexcept override { return Stream(Stream::DEFAULT, kOnly); }
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard)
} // namespace

namespace at {
struct CUDAHooks final : CUDAHooksInterface { // PyTorch looks for this name
  explicit CUDAHooks(CUDAHooksArgs) {}
  bool isBuilt() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex getCurrentDevice() const override { return 0; }
};
REGISTER_CUDA_HOOKS(CUDAHooks)
} // namespace at
