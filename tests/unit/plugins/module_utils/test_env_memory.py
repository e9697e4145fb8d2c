from __future__ import annotations

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _dotenv, _memory, _outline

INSTALLED = b"""\
APP_KEY=base64:c2VjcmV0

DB_PASSWORD=secret

PUSHER_HOST=203.0.113.7
PUSHER_BACKEND_HOST=old
PUSHER_PORT=6001
"""
DOMAIN = {"PUSHER_HOST": "c.example.com", "PUSHER_PORT": "443", "PUSHER_BACKEND_HOST": None, "PUSHER_SCHEME": "https"}
TAILNET = {"PUSHER_HOST": "100.64.0.1", "PUSHER_PORT": "6001", "PUSHER_BACKEND_HOST": None, "PUSHER_SCHEME": "http"}


def rewritten(data):
    """As upgrade.sh does it: the first of the lines with the same text before the equals sign, then new variables."""
    kept = {line.partition(b"=")[0]: line for line in reversed(data.splitlines())}
    lines = sorted(kept.values(), key=data.splitlines().index)
    return b"".join(line + b"\n" for line in lines) + b"REGISTRY_URL=docker.io\nLATEST_IMAGE=4.3.1\n"


@pytest.fixture
def memory(tmp_path):
    return _memory.EnvMemory(str(tmp_path / "state"), "/data/coolify/source/.env")


def edited(memory, data, values):
    after = _dotenv.edit(data, values).data
    memory.remember(data, after)
    return after


def test_gives_back_every_byte(memory):
    assert not memory.exists()
    assert memory.original(INSTALLED) == INSTALLED
    after = edited(memory, edited(memory, INSTALLED, DOMAIN), TAILNET)
    assert after != INSTALLED
    assert memory.exists()
    assert memory.original(after) == INSTALLED
    memory.forget()
    assert not memory.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"NEW=1\n",
        lambda data: b"# mine\n" + data,
        lambda data: data.replace(b"DB_PASSWORD=secret\n", b"DB_PASSWORD=changed\nNEW=1\n"),
    ],
)
def test_keeps_what_others_changed_since(memory, change):
    assert memory.original(change(edited(memory, INSTALLED, DOMAIN))) == change(INSTALLED)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("style", [rewritten, lambda data: b"\n".join(sorted(data.split(b"\n"))) + b"\n"])
def test_gives_back_the_values_after_the_file_was_rewritten(memory, style, again):
    after = style(edited(memory, INSTALLED, DOMAIN))
    if again:
        after = edited(memory, after, TAILNET)
    original = memory.original(after)
    assert _dotenv.values(original) == {**_dotenv.values(style(INSTALLED))}
    assert sorted(filter(None, original.split(b"\n"))) == sorted(filter(None, style(INSTALLED).split(b"\n")))


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [
        (lambda data: data.replace(b"PUSHER_SCHEME=https", b"PUSHER_SCHEME=http"), {"PUSHER_SCHEME": "http"}),
        (lambda data: data.replace(b"PUSHER_HOST=c.example.com", b"PUSHER_HOST=tried"), {"PUSHER_HOST": "tried"}),
        (lambda data: data + b"PUSHER_BACKEND_HOST=mine\n", {"PUSHER_BACKEND_HOST": "mine"}),
    ],
)
def test_keeps_what_somebody_made_of_our_values(memory, theirs, kept):
    before = edited(memory, INSTALLED, TAILNET)
    memory.done()
    after = edited(memory, before, DOMAIN)
    memory.done()
    after = theirs(after)
    assert _dotenv.values(memory.original(after)) == {**_dotenv.values(INSTALLED), **kept}
    # Also where a further run of ours came upon it, and wrote its own again.
    assert _dotenv.values(memory.original(edited(memory, after, DOMAIN))) == {**_dotenv.values(INSTALLED), **kept}


def test_a_file_that_its_readers_do_not_agree_on_is_not_given_back(memory):
    """A quoted value over two lines lost its second one: what follows is part of it for one reader, and not for another."""
    data = b'# it ends here"\n' + INSTALLED + b'MOTD="it begins here\n# it ends here"\n'
    after = edited(memory, data, DOMAIN)
    dropped = after.replace(b'begins here\n# it ends here"\n', b"begins here\n")
    moved = dropped.replace(b'MOTD="it begins here\n', b"").replace(b"PUSHER_HOST", b'MOTD="it begins here\nPUSHER_HOST')
    with pytest.raises(_dotenv.DotenvError, match=r"line \d+: "):
        memory.original(moved)
    assert memory.original(after) == data


def test_a_run_that_was_cut_before_it_wrote_is_no_harm(memory):
    memory.remember(INSTALLED, _dotenv.edit(INSTALLED, DOMAIN).data)
    assert memory.original(INSTALLED) == INSTALLED
    after = edited(memory, INSTALLED, DOMAIN)
    memory.remember(after, _dotenv.edit(after, TAILNET).data)
    assert memory.original(after) == INSTALLED


def test_a_run_that_was_cut_before_it_wrote_costs_no_order(memory):
    """A variable that was removed and set again stands elsewhere, and comes back to where it was all the same."""
    data = INSTALLED.replace(b"PUSHER_PORT=6001\n", b"PUSHER_PORT=6001\nREDIS_PASSWORD=secret\n")
    without = edited(memory, data, {"PUSHER_HOST": "b.example.com", "PUSHER_PORT": None})
    after = edited(memory, without, {"PUSHER_HOST": "c.example.com", "PUSHER_PORT": "443"})
    memory.remember(after, _dotenv.edit(after, {"PUSHER_HOST": "b.example.com", "PUSHER_PORT": None}).data)
    assert memory.original(after) == data
    memory.remember(after, _dotenv.edit(after, TAILNET).data)
    assert memory.original(after) == data


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_nothing_is_kept_of_what_is_not_ours_but_names(memory, tmp_path, end):
    data = b"# token=topsecret\nexport DB_PASSWORD=secret\nPUSHER_HOST=old\nAPP_KEY=base64:c2VjcmV0" + end
    after = edited(memory, edited(memory, data, DOMAIN), TAILNET)
    (entry,) = (tmp_path / "state" / "kept").iterdir()
    assert "secret" not in entry.read_text()
    assert "c2VjcmV0" not in entry.read_text()
    assert '"PUSHER_HOST=old\\n"' in entry.read_text()
    assert memory.original(after) == data


@pytest.mark.parametrize(
    "theirs",
    [
        lambda data: data + b"TERMINAL_HOST=term.example.com\n",
        lambda data: data.replace(b"TERMINAL_PORT=6002", b"TERMINAL_PORT=6003"),
        lambda data: data.replace(b"TERMINAL_PORT=6002\n", b""),
    ],
)
def test_a_variable_that_we_never_wrote_is_not_ours(memory, theirs):
    """Field case E1."""
    before = INSTALLED + b"TERMINAL_PORT=6002\n"
    current = theirs(rewritten(edited(memory, before, DOMAIN)))
    assert memory.original(current) == _outline.put_back(current, _outline.outline(before, DOMAIN))
    assert {key for key in _dotenv.edited_keys(before, memory.original(current)) if key.startswith("TERMINAL_")} == {
        key for key in _dotenv.edited_keys(before, current) if key.startswith("TERMINAL_")
    }
