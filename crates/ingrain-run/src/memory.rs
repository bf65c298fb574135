//! Memory of this process, as the kernel counts it.

/// The most memory that this process ever held at once, in bytes (`VmHWM`).
///
/// `None` where the system does not tell (anything but Linux).
#[must_use]
pub fn peak_rss_bytes() -> Option<u64> {
    status_field("VmHWM:")
}

/// The memory that this process holds now, in bytes (`VmRSS`).
///
/// `None` where the system does not tell (anything but Linux).
#[must_use]
pub fn rss_bytes() -> Option<u64> {
    status_field("VmRSS:")
}

fn status_field(name: &str) -> Option<u64> {
    parse_field(&std::fs::read_to_string("/proc/self/status").ok()?, name)
}

/// Lines look like `VmHWM:\t   12345 kB`.
fn parse_field(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_kibibytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 4 kB\n";
        assert_eq!(parse_field(status, "VmHWM:"), Some(2 * 1024 * 1024));
        assert_eq!(parse_field(status, "VmRSS:"), Some(4096));
        assert_eq!(parse_field(status, "VmSwap:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn peak_includes_memory_that_was_given_back() {
        let block = vec![1_u8; 64 << 20];
        let sum: u64 = block.iter().step_by(4096).map(|&b| u64::from(b)).sum();
        assert_eq!(sum, (64 << 20) / 4096);
        drop(block);
        assert!(peak_rss_bytes().unwrap() >= 64 << 20);
        assert!(rss_bytes().unwrap() > 0);
    }
}
