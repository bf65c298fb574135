//! The element and block types of GGML, with their sizes.

use std::fmt;

macro_rules! ggml_types {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $name:literal, $elements:literal, $bytes:literal;)*) => {
        /// How the elements of a tensor are stored.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[expect(non_camel_case_types, reason = "the names of the format, as everybody writes them")]
        pub enum GgmlType {
            $($(#[$doc])* $variant,)*
        }

        impl GgmlType {
            /// Every type of the format.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The type with this number in a file, if there is one.
            #[must_use]
            pub fn from_id(id: u32) -> Option<Self> {
                match id {
                    $($id => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The number of this type in a file.
            #[must_use]
            pub fn id(self) -> u32 {
                match self {
                    $(Self::$variant => $id,)*
                }
            }

            /// The name, as tools of the ecosystem print it: `Q4_1`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Elements in one block; 1 for plain numbers.
            #[must_use]
            pub fn block_len(self) -> usize {
                match self {
                    $(Self::$variant => $elements,)*
                }
            }

            /// Bytes of one block.
            #[must_use]
            pub fn block_bytes(self) -> usize {
                match self {
                    $(Self::$variant => $bytes,)*
                }
            }
        }
    };
}

ggml_types! {
    /// 32-bit float.
    F32 = 0, "F32", 1, 4;
    /// 16-bit IEEE float.
    F16 = 1, "F16", 1, 2;
    /// 4 bits, scale.
    Q4_0 = 2, "Q4_0", 32, 18;
    /// 4 bits, scale and minimum.
    Q4_1 = 3, "Q4_1", 32, 20;
    /// 5 bits, scale.
    Q5_0 = 6, "Q5_0", 32, 22;
    /// 5 bits, scale and minimum.
    Q5_1 = 7, "Q5_1", 32, 24;
    /// 8 bits, scale.
    Q8_0 = 8, "Q8_0", 32, 34;
    /// 8 bits, scale and sum: intermediate results only.
    Q8_1 = 9, "Q8_1", 32, 40;
    /// 2 bits, super-blocks of 256.
    Q2_K = 10, "Q2_K", 256, 84;
    /// 3 bits, super-blocks of 256.
    Q3_K = 11, "Q3_K", 256, 110;
    /// 4 bits, super-blocks of 256.
    Q4_K = 12, "Q4_K", 256, 144;
    /// 5 bits, super-blocks of 256.
    Q5_K = 13, "Q5_K", 256, 176;
    /// 6 bits, super-blocks of 256.
    Q6_K = 14, "Q6_K", 256, 210;
    /// 8 bits, super-blocks of 256: intermediate results only.
    Q8_K = 15, "Q8_K", 256, 292;
    /// 2.06 bits, from a codebook.
    IQ2_XXS = 16, "IQ2_XXS", 256, 66;
    /// 2.31 bits, from a codebook.
    IQ2_XS = 17, "IQ2_XS", 256, 74;
    /// 3.06 bits, from a codebook.
    IQ3_XXS = 18, "IQ3_XXS", 256, 98;
    /// 1.56 bits, from a codebook.
    IQ1_S = 19, "IQ1_S", 256, 50;
    /// 4 bits, non-linear levels.
    IQ4_NL = 20, "IQ4_NL", 32, 18;
    /// 3.44 bits, from a codebook.
    IQ3_S = 21, "IQ3_S", 256, 110;
    /// 2.5 bits, from a codebook.
    IQ2_S = 22, "IQ2_S", 256, 82;
    /// 4.25 bits, non-linear levels, super-blocks of 256.
    IQ4_XS = 23, "IQ4_XS", 256, 136;
    /// 8-bit integer.
    I8 = 24, "I8", 1, 1;
    /// 16-bit integer.
    I16 = 25, "I16", 1, 2;
    /// 32-bit integer.
    I32 = 26, "I32", 1, 4;
    /// 64-bit integer.
    I64 = 27, "I64", 1, 8;
    /// 64-bit float.
    F64 = 28, "F64", 1, 8;
    /// 1.75 bits, from a codebook.
    IQ1_M = 29, "IQ1_M", 256, 56;
    /// The upper half of a 32-bit float.
    BF16 = 30, "BF16", 1, 2;
    /// Ternary, 1.69 bits.
    TQ1_0 = 34, "TQ1_0", 256, 54;
    /// Ternary, 2.06 bits.
    TQ2_0 = 35, "TQ2_0", 256, 66;
    /// OCP microscaling float, 4 bits.
    MXFP4 = 39, "MXFP4", 32, 17;
    /// 4-bit float with four 8-bit float scales.
    NVFP4 = 40, "NVFP4", 64, 36;
    /// One bit.
    Q1_0 = 41, "Q1_0", 128, 18;
}

impl fmt::Display for GgmlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::GgmlType;

    #[test]
    fn every_type_is_found_again_by_its_number() {
        for &dtype in GgmlType::ALL {
            assert_eq!(GgmlType::from_id(dtype.id()), Some(dtype));
        }
        assert_eq!(GgmlType::ALL.len(), 34);
        // 4, 5 and 31 to 33 and 36 to 38 were removed from the format.
        assert_eq!(GgmlType::from_id(4), None);
        assert_eq!(GgmlType::from_id(u32::MAX), None);
    }
}
