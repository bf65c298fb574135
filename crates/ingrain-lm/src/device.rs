//! Which processor runs the model, chosen at run time by name.

#[cfg(feature = "cuda")]
use burn::backend::DispatchDevice;
use burn::tensor::Device;

use crate::LmError;

/// Whether it is one of CubeCL's devices, so a GPU.
pub(crate) fn is_gpu(device: &Device) -> bool {
    #[cfg(feature = "cuda")]
    return matches!(device.clone().inner().as_dispatch(), DispatchDevice::Cube(_));
    #[cfg(not(feature = "cuda"))]
    {
        let _ = device;
        false
    }
}

/// The device of that name: `cpu` (Flex, the default), `ndarray`, `cuda` or `cuda:N`.
///
/// # Errors
/// [`LmError::Device`] for an unknown name, or one that this build was made without.
///
/// # Examples
/// ```
/// let device = ingrain_lm::device("cpu")?;
/// assert!(ingrain_lm::device("abacus").is_err());
/// # Ok::<(), ingrain_lm::LmError>(())
/// ```
pub fn device(name: &str) -> Result<Device, LmError> {
    let unknown = |reason: &str| LmError::Device { device: name.into(), reason: reason.into() };
    match name.split_once(':').unwrap_or((name, "0")) {
        ("cpu" | "flex", "0") => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        ("ndarray", "0") => Ok(ndarray()),
        #[cfg(not(feature = "ndarray"))]
        ("ndarray", _) => Err(unknown("this build has no ndarray; add --features ndarray")),
        #[cfg(feature = "cuda")]
        ("cuda", index) => match index.parse::<usize>() {
            Ok(index) => Ok(Device::cuda(index)),
            Err(_) => Err(unknown("expected a number after cuda:")),
        },
        #[cfg(not(feature = "cuda"))]
        ("cuda", _) => Err(unknown("this build has no CUDA; add --features cuda")),
        _ => Err(unknown("unknown; expected cpu, ndarray, cuda or cuda:N")),
    }
}

#[cfg(feature = "ndarray")]
#[expect(deprecated, reason = "Burn gives it up; it is there for those who ask for it by name")]
fn ndarray() -> Device {
    Device::ndarray()
}
