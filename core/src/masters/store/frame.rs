//! A frame: one payload with its length and checksums.

/// Bytes before a payload.
pub(super) const HEADER: usize = 16;

/// What a disk writes whole or not at all, at the least.
const SECTOR: u64 = 512;

/// What a frame says about its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) length: u64,
    pub(super) checksum: u32,
}

impl Header {
    /// The header of `payload`.
    pub(super) fn of(payload: &[u8]) -> Self {
        Self {
            length: payload.len() as u64,
            checksum: crc32c::crc32c(payload),
        }
    }

    pub(super) fn encode(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.checksum.to_le_bytes());
        let own = crc32c::crc32c(&bytes[..12]);
        bytes[12..].copy_from_slice(&own.to_le_bytes());
        bytes
    }

    /// None where these bytes are no header.
    pub(super) fn decode(bytes: [u8; HEADER]) -> Option<Self> {
        let [length @ .., _, _, _, _, _, _, _, _] = bytes;
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = bytes;
        let header = Self {
            length: u64::from_le_bytes(length),
            checksum: u32::from_le_bytes([a, b, c, d]),
        };
        (header.encode() == bytes).then_some(header)
    }

    pub(super) fn fits(self, payload: &[u8]) -> bool {
        self == Self::of(payload)
    }
}

/// Whether `rest`, all that follows in a file from the frame at `offset` on, can be a frame that a
/// crash kept from being written; its checksums don't match.
pub(super) fn is_unwritten(rest: &[u8], offset: u64) -> bool {
    has_empty_sector(rest, offset) && !holds_a_frame(rest)
}

/// Whether there are only zeros in what some sector has of `rest`.
fn has_empty_sector(rest: &[u8], offset: u64) -> bool {
    // The first one belongs to the frame before as well.
    let first = usize::try_from(SECTOR - offset % SECTOR).unwrap_or(rest.len());
    let (first, others) = rest.split_at(first.min(rest.len()));
    std::iter::once(first)
        .chain(others.chunks(SECTOR as usize))
        .any(|piece| piece.iter().all(|&byte| byte == 0))
}

/// Whether a whole frame lies somewhere behind the first byte of `rest`: then what is wrong before
/// it was not the last thing written.
fn holds_a_frame(rest: &[u8]) -> bool {
    (1..rest.len()).any(|at| {
        let Some((header, behind)) = rest[at..].split_first_chunk() else {
            return false;
        };
        // A hole may be long, and no payload is empty.
        if header[..8] == [0; 8] {
            return false;
        }
        Header::decode(*header).is_some_and(|header| {
            let length = usize::try_from(header.length).ok();
            let payload = length.and_then(|length| behind.get(..length));
            payload.is_some_and(|payload| header.fits(payload))
        })
    })
}
