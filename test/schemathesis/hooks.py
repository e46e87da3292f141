"""What schemathesis cannot know by itself: bodies that are files. Loaded by SCHEMATHESIS_HOOKS."""

import base64

import schemathesis
from hypothesis import strategies as st

PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp")
# A PNG of 2 x 1 pixels; most of the other bytes are no picture at all.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR4XmNgZGJmYWUDAAA/ABYC"
    "HgjqAAAAAElFTkSuQmCC"
)
pictures = st.one_of(st.just(PICTURE), st.binary(max_size=200))
tables = st.one_of(st.just(b"email\nnew@example.com\n"), st.binary(max_size=200))

for media_type in PICTURE_TYPES:
    schemathesis.openapi.media_type(media_type, pictures)
schemathesis.openapi.media_type("text/csv", tables)


@schemathesis.serializer(*PICTURE_TYPES, "text/csv")
def as_bytes(_context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
