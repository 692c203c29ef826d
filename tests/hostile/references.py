"""Files that name other files, and files that hold them."""

import gzip
import io
import struct
import tarfile
import zipfile

from tests.hostile import mp4
from tests.support.recordings import Samples, encode, image, wav

SECRET = b"/etc/passwd"
ADDRESS = b"http://127.0.0.1:9/secret.wav"


def playlists() -> dict[str, bytes]:
    texts: dict[str, bytes] = {}
    for kind, address in (("file", b"file://" + SECRET), ("http", ADDRESS)):
        texts |= {
            f"{kind}.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n%s\n" % address,
            f"{kind}.pls": b"[playlist]\nFile1=%s\nNumberOfEntries=1\n" % address,
            f"{kind}.ffconcat": b"ffconcat version 1.0\nfile '%s'\n" % address,
            f"{kind}_link.txt": address,
            f"{kind}.smil": b"<smil><body><audio src='%s'/></body></smil>" % address,
            f"{kind}.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nu=%s\nm=audio 9 RTP/AVP 0\n"
            b"c=IN IP4 127.0.0.1\n" % address,
            f"{kind}.mpd": b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'>"
            b"<Period><AdaptationSet><Representation><BaseURL>%s</BaseURL></Representation>"
            b"</AdaptationSet></Period></MPD>" % address,
            f"{kind}.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='%s'/></svg>"
            % address,
            f"{kind}.html": b"<!doctype html><audio src='%s'>" % address,
            f"{kind}_reference.mov": mp4.reference_movie(address),
            f"{kind}_tracks.mov": mp4.elsewhere(address),
        }
    texts["concat_link.txt"] = b"concat:" + SECRET + b"|" + SECRET
    texts["data_link.txt"] = b"data:audio/wav;base64,UklGRgAAAAA="
    return texts


def linked_segments(clip: Samples) -> bytes:
    """Matroska that goes on in another file, with a font and that file's name attached."""
    content = encode(clip, "matroska", "libopus", rate=48_000, streamed=True)
    info = _ebml(0x1549A966, _ebml(0x3EB923, bytes(16)), _ebml(0x3E83BB, SECRET))
    font = _ebml(
        0x61A7,
        _ebml(0x466E, SECRET),
        _ebml(0x4660, b"application/x-truetype-font"),
        _ebml(0x465C, bytes(100_000)),
        _ebml(0x46AE, b"\1"),
    )
    return content + info + _ebml(0x1941A469, font)


def _ebml(number: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = struct.pack(">Q", len(body) | 1 << 56)
    return number.to_bytes((number.bit_length() + 7) // 8, "big") + size + body


def archives(clip: Samples) -> dict[str, bytes]:
    content = wav(clip)
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clip.wav", content)
    with tarfile.open(fileobj=tarred, mode="w") as archive_of_tapes:
        member = tarfile.TarInfo("clip.wav")
        member.size = len(content)
        archive_of_tapes.addfile(member, io.BytesIO(content))
    return {
        "clip.zip": zipped.getvalue(),
        "clip.wav.gz": gzip.compress(content),
        "clip.tar": tarred.getvalue(),
        "picture.gif": b"GIF89a\x01\x00\x01\x00\x80\x00\x00" + bytes(6) + b",\x00\x00\x00\x00\x01;",
        "picture.png": image("png"),
    }
