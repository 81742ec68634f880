import io

from recurra.progress import Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, steps: int = 4, **options: bool | float | None) -> str:
    with Progress(8, 2, stream=stream, **options) as progress:  # type: ignore[arg-type]
        for _ in range(steps):
            progress.update({"loss": "0.5", "best": "0.4"})
    return stream.getvalue()


def test_a_log_file_gets_lines_with_loss_and_time_left() -> None:
    lines = shown(io.StringIO(), seconds=0.0).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("training: step 3 of 8 (38 %), loss 0.5, best 0.4, ")
    assert lines[-1].endswith(" s left")


def test_quick_work_says_nothing_in_a_log_file() -> None:
    assert shown(io.StringIO()) == ""


def test_a_terminal_gets_a_bar() -> None:
    assert "6/8" in shown(_Terminal())


def test_nothing_is_shown_if_not_wanted() -> None:
    assert shown(_Terminal(), show=False) == shown(io.StringIO(), show=False, seconds=0.0) == ""
