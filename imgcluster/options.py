"""What an option is: a field of a dataclass that says all there is to say about it, once.

    seeds: int = option("How many seeds, from 0 on.", 5, least=1)

The command line (``--seeds``), the keyword of the Python function (``seeds=``), the checks of both, what is
recorded with a result and the tables of the documentation are made of that. `workflows.options` holds them.
"""

from __future__ import annotations

import functools
import inspect
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar, dataclass_transform, get_args, get_origin

from imgcluster.errors import UsageError
from imgcluster.files import lies_below
from imgcluster.machine import using_threads

_Result = TypeVar("_Result")
_MOST_LOOKED_AT = 10_000

DEFAULT_STORE = "features.h5"
DEFAULT_CLUSTERS = "clusters"


@dataclass(frozen=True)
class Option:
    """All about an option but its name, type and default, which are those of the field.

    Attributes
    ----------
    metavar
        What stands for the value in help. ``FILE`` and ``DIR`` are paths, ``CLUSTER`` is a number or a name,
        ``NETWORK`` a name or a network of one's own.
    parse
        Reads a text, also one given from Python. ValueError with a message where it cannot be read.
    least, most
        Bounds of a number, both allowed.
    unset
        What the default is where the field has None.
    recorded
        Whether a result depends on it, so that it is kept with one.
    """

    help: str
    short: str = ""
    metavar: str = ""
    parse: Callable[[str], Any] | None = None
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    unset: str = ""
    recorded: bool = True


def option(about: Option | str, default: Any = None, **more: Any) -> Any:
    """Make a field; it is required where `default` is MISSING, and a function makes a default each time."""
    metadata = {"option": Option(about, **more) if isinstance(about, str) else about}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def flag(about: Option | str, **more: Any) -> Any:
    """Make the field of an option that is off unless it is given."""
    return option(about, default=False, **more)


class Named(Protocol):
    """What its name stands for, such as a network of one's own."""

    name: str


_Path = str | os.PathLike[str]
_TAKEN = {"FILE": _Path, "DIR": _Path, "CLUSTER": int | str, "NETWORK": str | Named}


@dataclass(frozen=True)
class Declared:
    """An option of one command: the field's name and default, the type of its value (of each, if `many`)."""

    name: str
    kind: type
    many: bool
    optional: bool
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        """The name on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def repeated(self) -> bool:
        """Whether several values are given by several options, and not in one text."""
        return self.many and self.option.parse is None

    @property
    def takes_none(self) -> bool:
        """Whether None is a value of its own, as ``auto`` of ``--k``."""
        return self.optional and self.default is not None

    @property
    def metavar(self) -> str:
        """What stands for the value in help."""
        about = self.option
        if about.least is not None and about.most is not None:
            return f"{about.least:g}..{about.most:g}"
        by_type = {int: "N", float: "X"}.get(self.kind, "NAME")
        return about.metavar or "|".join(about.choices) or by_type

    @property
    def annotation(self) -> Any:
        """What Python code may give."""
        taken: Any = _TAKEN.get(self.option.metavar, self.kind)
        if self.option.parse is not None:
            taken |= str
        if self.many:
            taken |= Iterable[taken]
        return taken | None if self.optional or self.default is None else taken

    def read(self, value: Any) -> Any:
        """Turn what was given, as text or from Python, into the value. UsageError where that cannot be."""
        if value is None and self.optional:
            return None
        if isinstance(value, str | os.PathLike) and self.option.parse is not None:
            try:
                value = self.option.parse(os.fsdecode(value))
            except ValueError as error:
                raise UsageError(f"{self.flag}: {error}") from None
            if value is None:
                return None
        if not self.many:
            return self._read_one(value)
        alone = isinstance(value, str | os.PathLike) or not isinstance(value, Iterable)
        return tuple(self._read_one(each) for each in ((value,) if alone else value))

    def _read_one(self, given: Any) -> Any:
        about = self.option
        try:
            value = _READERS[self.kind](given)
        except (TypeError, ValueError):
            raise UsageError(f"{self.flag} {given} is not {_WORDS[self.kind]}") from None
        if about.metavar in {"FILE", "DIR"}:
            if not value:  # as of an unset variable: the current folder is not meant
                what = "folder" if about.metavar == "DIR" else "file"
                raise UsageError(f"{self.flag} is empty: name a {what}")
            with suppress(ValueError):
                if b"\0" not in os.fsencode(value):
                    return str(Path(value))
            raise UsageError(f"{self.flag} {value!r} is a name that no file can have")
        if about.choices and value not in about.choices:
            one_of = f"it is one of {', '.join(about.choices)}{did_you_mean(value, about.choices)}"
            raise UsageError(f"{self.flag} {value} is unknown: {one_of}")
        least, most = about.least, about.most
        if (least is not None and not value >= least) or (most is not None and not value <= most):
            bounds = f"be at least {least:g}" if most is None else f"lie between {least:g} and {most:g}"
            raise UsageError(f"{self.flag} {value} is out of range: it must {bounds}")
        return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    return int(value) if isinstance(value, str) else operator.index(value)


def _text(value: Any) -> str:
    """Of what is no text, such as a network of one's own, its name stands for it; numbers name clusters."""
    if isinstance(value, bool):
        raise TypeError
    value = getattr(value, "name", value) if not isinstance(value, os.PathLike) else value
    return os.fsdecode(value) if isinstance(value, str | os.PathLike) else str(operator.index(value))


_READERS: dict[type, Callable[[Any], Any]] = {bool: _flag, int: _whole, float: float, str: _text}
_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Ask whether the most similar of `names` was meant; empty where none is similar."""
    by_lower = {each.lower(): each for each in names}
    return "".join(f" (did you mean {by_lower[c]}?)" for c in get_close_matches(name.lower(), by_lower, 1))


def named_alike(missing: str | os.PathLike[str]) -> str:
    """Ask whether a file or folder beside one that does not exist was meant; empty where none is similar."""
    folder, name = os.path.split(os.path.abspath(missing))
    try:
        with os.scandir(folder) as entries:
            return did_you_mean(name, [entry.name for entry in islice(entries, _MOST_LOOKED_AT)])
    except OSError:
        return ""


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Options:
    """Base of frozen dataclasses whose fields are options: what they are made of is read and checked.

    Their module must not put off the evaluation of annotations.
    """

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True, eq=False)(cls)

    def __post_init__(self) -> None:
        for each in declared(type(self)):
            object.__setattr__(self, each.name, each.read(getattr(self, each.name)))
            if isinstance(each.default, str) and getattr(self, each.name) == each.default:
                refuse_link_out(each.default)

    def recorded(self) -> dict[str, Any]:
        """Give the options that a result depends on, where they have a value."""
        values = {
            each.name: getattr(self, each.name) for each in declared(type(self)) if each.option.recorded
        }
        return {name: value for name, value in values.items() if value not in (None, ())}


def refuse_link_out(path: str) -> None:
    """Raise UsageError where `path`, a name that nobody typed, is a link that leads out of this folder.

    Who has made the folder would choose what is written, and where.
    """
    _refuse(path, os.path.realpath(path))


def typed_path(path: str | os.PathLike[str]) -> str:
    """Return a path that somebody names, as text. UsageError where it is empty, as an unset variable is."""
    if not os.fspath(path):
        raise UsageError("a path is empty: name a file or folder (. is the current one)")
    return os.fspath(path)


def place_of(path: str) -> str:
    """Return where a store or a clustering lies, through links; UsageError as of `refuse_link_out`.

    What nobody typed is looked at whenever that is asked: it may be exchanged while a command works.
    """
    target = os.path.realpath(path)
    if path in {DEFAULT_STORE, DEFAULT_CLUSTERS}:
        _refuse(path, target)
    return target


def _refuse(path: str, target: str) -> None:
    if not lies_below(target, [os.getcwd()]):
        raise UsageError(f"{path} is a link that leads to {target}: name that place itself, if it is meant")


def as_arguments(options: type[Any], chosen: Mapping[str, Any]) -> list[str]:
    """Write values of options as a person types them in any folder; those that are not the usual ones."""
    usual, typed = options(), []
    for each in declared(options):
        value = chosen.get(each.name, getattr(usual, each.name))
        if each.name in chosen and value and each.option.metavar in {"FILE", "DIR"}:
            value = tuple(map(os.path.abspath, value)) if each.many else os.path.abspath(value)
        if value is True:
            typed.append(each.flag)
        elif value != getattr(usual, each.name):
            typed += [part for one in (value if each.many else (value,)) for part in (each.flag, str(one))]
    return typed


def declared(options: type[Any]) -> tuple[Declared, ...]:
    """List the options of a dataclass, its own before those that it shares; MISSING stands for no default."""
    found = {each.name: each for each in fields(options)}
    names = dict.fromkeys(
        name for owner in options.__mro__ for name in vars(owner).get("__annotations__", ())
    )
    return tuple(_declared(found[name]) for name in names)


def _declared(each: Any) -> Declared:
    kind, optional = each.type, type(None) in get_args(each.type)
    if optional:
        (kind,) = (part for part in get_args(kind) if part is not type(None))
    many = get_origin(kind) is tuple
    default = each.default if each.default_factory is MISSING else None
    of_one = get_args(kind)[0] if many else kind
    return Declared(each.name, of_one, many, optional, default, each.metadata["option"])


def spread(
    function: Callable[..., _Result], parameter: Callable[[Declared], inspect.Parameter]
) -> Callable[..., _Result]:
    """Make of a function with a parameter `options`, a dataclass, one with a keyword for each of its options.

    `parameter` says how the signature shows an option. None stands for the default, but where that is a value
    and None another. TypeError for an unknown keyword.
    """
    signature = inspect.signature(function, eval_str=True)
    own = dict(signature.parameters)
    kind = own.pop("options").annotation
    known = {each.name: each for each in declared(kind)}

    @functools.wraps(function)
    def with_keywords(*arguments: Any, **given: Any) -> _Result:
        for name in given.keys() - known.keys() - own.keys():
            raise TypeError(f"{function.__name__}() has no option {name!r}{did_you_mean(name, known)}")
        for name in (each.name for each in known.values() if each.default is MISSING):
            if name not in given:
                raise TypeError(f"{function.__name__}() needs {name}=")
        values = {name: given.pop(name) for name in known if name in given}
        for name in [name for name, value in values.items() if value is None and not known[name].takes_none]:
            del values[name]
        options = kind(**values)
        with using_threads(getattr(options, "threads", None)):
            return function(*arguments, options=options, **given)

    show_parameters(with_keywords, [*map(parameter, known.values()), *own.values()])
    return with_keywords


def show_parameters(function: Callable[..., Any], parameters: Iterable[inspect.Parameter]) -> None:
    """Have the signature of a function show other parameters than it has, keywords last."""
    shown = sorted(parameters, key=lambda each: each.kind)
    signature = inspect.signature(function, eval_str=True).replace(parameters=shown)
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__annotations__ = {each.name: each.annotation for each in shown}


def keywords(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Make of a function with a parameter `options` one that takes them as keywords, as Python shows them."""
    return spread(function, _keyword)


def _keyword(each: Declared) -> inspect.Parameter:
    default = inspect.Parameter.empty if each.default is MISSING else each.default
    return inspect.Parameter(
        each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=each.annotation
    )
