//! Data sheets of accelerators, in the units in which makers print them.
//!
//! Speeds are dense: makers mostly print the doubled figure for sparse matrices. Sources:
//! rooflinenotes.dev/accelerators, pricegpu.pages.dev and hmc-tech.com, which agree with the
//! makers' sheets where both were seen; where they conflict, a comment says what was taken.
//! Memory is what the driver reports, where that is known; otherwise the printed GB, as GiB.
//! Prices are on demand, April 2026, without a particular cloud (pricegpu.pages.dev).

use super::Accelerator;

/// One row.
pub(super) struct Sheet {
    teraflops: f64,
    teraflops_8bit: f64,
    terabytes_per_second: f64,
    mebibytes: u32,
    dollars_per_hour: f64,
}

impl Sheet {
    pub(super) fn card(&self) -> Accelerator {
        Accelerator {
            flops: self.teraflops * 1e12,
            flops_8bit: self.teraflops_8bit * 1e12,
            bandwidth: self.terabytes_per_second * 1e12,
            memory_bytes: f64::from(self.mebibytes) * 1_048_576.0,
            price_per_hour: self.dollars_per_hour,
        }
    }
}

const fn sheet(
    teraflops: f64,
    teraflops_8bit: f64,
    terabytes_per_second: f64,
    mebibytes: u32,
    dollars_per_hour: f64,
) -> Sheet {
    Sheet {
        teraflops,
        teraflops_8bit,
        terabytes_per_second,
        mebibytes,
        dollars_per_hour,
    }
}

pub(super) const ALL: &[(&str, Sheet)] = &[
    ("A100", sheet(312.0, 312.0, 2.04, 81_920, 3.50)),
    ("A100-40", sheet(312.0, 312.0, 1.555, 40_960, 3.00)),
    // 125 TFLOP/s is quoted too: that is the sparse figure of a cut-down A10.
    ("A10G", sheet(70.0, 70.0, 0.600, 23_028, 1.30)),
    ("B200", sheet(2250.0, 4500.0, 8.0, 184_320, 7.25)),
    // No price was found; it is set beside the MI300X, with which it is sold in competition.
    ("Gaudi3", sheet(1835.0, 1835.0, 3.7, 131_072, 3.75)),
    ("H100", sheet(989.0, 1979.0, 3.35, 81_559, 4.50)),
    ("H100-PCIe", sheet(756.0, 1513.0, 2.0, 81_559, 4.50)),
    ("H200", sheet(989.0, 1979.0, 4.8, 143_771, 5.75)),
    ("L4", sheet(121.0, 242.0, 0.300, 23_034, 0.80)),
    // The price is AWS's g6e.xlarge, which has one. 183 TFLOP/s is quoted too: that is the L40's.
    ("L40S", sheet(362.0, 733.0, 0.864, 46_068, 1.86)),
    ("MI300X", sheet(1307.0, 2615.0, 5.3, 196_592, 3.75)),
];
