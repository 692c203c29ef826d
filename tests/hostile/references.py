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
            f"{kind}_keys.m3u8": b'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="%s"\n'
            b'#EXT-X-MAP:URI="%s"\n#EXTINF:1,\n%s\n' % (address, address, address),
            f"{kind}_master.m3u8": b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n%s\n" % address,
            f"{kind}.pls": b"[playlist]\nFile1=%s\nNumberOfEntries=1\n" % address,
            f"{kind}.ffconcat": b"ffconcat version 1.0\nfile '%s'\n" % address,
            f"{kind}_link.txt": address,
            f"{kind}.asx": b"<asx version='3.0'><entry><ref href='%s'/></entry></asx>" % address,
            f"{kind}.xspf": b"<?xml version='1.0'?><playlist version='1' xmlns='http://xspf.org/ns/"
            b"0/'><trackList><track><location>%s</location></track></trackList></playlist>"
            % address,
            f"{kind}.ram": b"RTSPtextRTSP://" + address.partition(b"://")[2] + b"\r\n",
            f"{kind}_reference.asf": b"[Reference]\r\nRef1=%s\r\n" % address,
            f"{kind}_entity.xml": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY y SYSTEM '%s'>]>"
            b"<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'>&y;</MPD>" % address,
            f"{kind}_composition.xml": b"<?xml version='1.0'?><AssetMap><AssetList><Asset>"
            b"<ChunkList><Chunk><Path>%s</Path></Chunk></ChunkList></Asset></AssetList></AssetMap>"
            % address,
            f"{kind}_subtitles.avi": playlist_as_subtitles(address),
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
    texts["neighbour.m3u8"] = b"#EXTM3U\n#EXTINF:1,\n../../../../etc/passwd\n"
    texts["neighbour.ffconcat"] = b"ffconcat version 1.0\nfile ../../../../etc/passwd\n"
    texts["subfile_link.txt"] = b"subfile,,start,0,end,100,,:" + SECRET
    texts["concat_link.txt"] = b"concat:" + SECRET + b"|" + SECRET
    texts["data_link.txt"] = b"data:audio/wav;base64,UklGRgAAAAA="
    return texts


def playlist_as_subtitles(address: bytes) -> bytes:
    """An avi of a second of silence, whose subtitles are a playlist (CVE-2016-1897 came so)."""
    playlist = b"#EXTM3U\n#EXTINF:1,\n%s\n" % address
    text = b"GAB2\0\2\0" + struct.pack("<I", 0) + struct.pack("<HI", 4, len(playlist)) + playlist
    sound = struct.pack("<HHIIHH", 1, 1, 8_000, 16_000, 2, 16)
    streams = [
        _riff(
            b"LIST",
            b"strl",
            _riff(b"strh", kind, bytes(16), struct.pack("<II", 1, rate), bytes(24)),
            _riff(b"strf", form),
        )
        for kind, rate, form in ((b"auds", 8_000, sound), (b"txts", 1, b""))
    ]
    header = _riff(b"avih", bytes(24), struct.pack("<I", 2), bytes(28))
    return _riff(
        b"RIFF",
        b"AVI ",
        _riff(b"LIST", b"hdrl", header, *streams),
        _riff(b"LIST", b"movi", _riff(b"01tx", text), _riff(b"00wb", bytes(16_000))),
    )


def _riff(tag: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return tag + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


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
