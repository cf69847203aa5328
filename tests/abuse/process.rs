//! What the kernel says of a process.

#[derive(Debug)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn new(id: u32) -> Self {
        Self(id)
    }

    /// The most bytes that it ever had in memory. `None` if it is no more.
    pub(crate) fn high_water(&self) -> Option<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|kilobytes| kilobytes << 10)
    }
}
