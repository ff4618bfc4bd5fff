"""Reading match video: probe, frame index, exact segments, image folders, audio.

`source.open_source` is the door; the other modules are the rooms behind it:

- `probe` describes a file from inside a limited subprocess,
- `index` numbers every frame in one pass over the packets, on the one `clock` made of theirs,
- `decode` gives any stretch of frames, equal to one straight decode; `rate` says which to keep,
- `picture` makes arrays of them: upright, square pixels, `fields` joined, HDR by its `tone` curve,
- `images` is a folder of numbered images behind the same interface,
- `audio` and `clip` call the ffmpeg command.

Nothing is imported here, so that one room can be entered without paying for the others.
"""
