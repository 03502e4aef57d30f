"""What a model says, told from what it thinks aloud before: an endpoint that does not part them sends both.  Pure."""

from __future__ import annotations

from dataclasses import replace

from agent_service.models.wire import Piece

_BEGIN, _END = "<think>", "</think>"


class Aloud:
    """Of one answer.  Only its beginning may be thought: whoever writes the tag later on speaks of it."""

    def __init__(self) -> None:
        self._held = ""  # what may yet turn out to be a tag
        self._may_begin, self._thinks, self._has_just_thought = True, False, False

    def heard(self, piece: Piece) -> Piece:
        """The next piece, without what is thought or cannot be told yet."""
        if piece.thought and self._may_begin:
            self._has_just_thought = True
        return replace(piece, text=self._said(piece.text)) if piece.text else piece

    def rest(self) -> str:
        """What was held back to the end, and is no tag after all."""
        held, self._held = self._held, ""
        return "" if self._thinks else self._without_gap(held)

    def _said(self, text: str) -> str:
        self._held += text
        if self._may_begin:
            start = self._held.lstrip()
            if start != _BEGIN and _BEGIN.startswith(start):
                return ""
            self._may_begin, self._thinks = False, start.startswith(_BEGIN)
        if self._thinks:
            _, end, after = self._held.partition(_END)
            self._held = after if end else self._held[-len(_END) :]  # of a thought, what may begin its end
            if not end:
                return ""
            self._thinks, self._has_just_thought = False, True
        said, self._held = self._held, ""
        return self._without_gap(said)

    def _without_gap(self, said: str) -> str:
        """The empty lines between a thought and the answer belong to neither."""
        if not self._has_just_thought:
            return said
        said = said.lstrip()
        self._has_just_thought = not said
        return said


def spoken(answer: Piece) -> Piece:
    """Of an answer that came at once."""
    aloud = Aloud()
    said = aloud.heard(answer)
    return replace(said, text=said.text + aloud.rest())
