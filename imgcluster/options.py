"""What an option is: a field of a class that says all there is to say about it, once.

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
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar, dataclass_transform, get_args, get_origin

from imgcluster.errors import UsageError
from imgcluster.machine import using_threads
from imgcluster.typed import did_you_mean, refuse_link_out

_Result = TypeVar("_Result")


class Named(Protocol):
    """What its name stands for, such as a network of one's own."""

    name: str


_Path = str | os.PathLike[str]
_TAKEN = {"FILE": _Path, "DIR": _Path, "CLUSTER": int | str, "NETWORK": str | Named}


@dataclass(frozen=True)
class Option:
    """All about an option; name, type and default are those of its field.

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
    default
        MISSING: the option is required; a function makes a default each time.
    kind
        The type of the value, of each if there may be `many`.
    optional
        Whether it may be None.
    words
        Texts that are values, too: what the type says as ``Literal`` beside the kind.
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
    default: Any = None
    name: str = ""
    kind: type = str
    many: bool = False
    optional: bool = False
    words: tuple[str, ...] = ()

    def of_field(self, name: str, kind: Any) -> Option:
        """Take name and type of the field."""
        optional, words = type(None) in get_args(kind), ()
        if optional:
            kind, *literals = (part for part in get_args(kind) if part is not type(None))
            words = tuple(word for literal in literals for word in get_args(literal))
        many = get_origin(kind) is tuple
        kind = get_args(kind)[0] if many else kind
        return replace(self, name=name, kind=kind, many=many, optional=optional, words=words)

    @property
    def flag(self) -> str:
        """The name on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def repeated(self) -> bool:
        """Whether several values are given by several options, and not in one text."""
        return self.many and self.parse is None

    @property
    def fixed_default(self) -> Any:
        """The default, None where it is made each time."""
        return None if callable(self.default) else self.default

    def made_default(self) -> Any:
        """Give the default, made now where it is made each time."""
        return self.default() if callable(self.default) else self.default

    @property
    def takes_none(self) -> bool:
        """Whether None is a value of its own, as ``auto`` of ``--k``."""
        return self.optional and self.fixed_default is not None

    @property
    def value_name(self) -> str:
        """What stands for the value in help, also where the option does not say."""
        if self.least is not None and self.most is not None:
            return f"{self.least:g}..{self.most:g}"
        by_type = {int: "N", float: "X"}.get(self.kind, "NAME")
        return self.metavar or "|".join(self.choices) or by_type

    @property
    def annotation(self) -> Any:
        """What Python code may give."""
        taken: Any = _TAKEN.get(self.metavar, self.kind)
        if self.parse is not None or self.words:
            taken |= str
        if self.many:
            taken |= Iterable[taken]
        return taken | None if self.optional or self.fixed_default is None else taken

    def read(self, value: Any) -> Any:
        """Turn what was given, as text or from Python, into the value. UsageError where that cannot be."""
        if (value is None and self.optional) or (isinstance(value, str) and value in self.words):
            return value
        if isinstance(value, str | os.PathLike) and self.parse is not None:
            try:
                value = self.parse(os.fsdecode(value))
            except ValueError as error:
                raise UsageError(f"{self.flag}: {error}") from None
            if value is None:
                return None
        if not self.many:
            return self._read_one(value)
        alone = isinstance(value, str | os.PathLike) or not isinstance(value, Iterable)
        return tuple(self._read_one(each) for each in ((value,) if alone else value))

    def _read_one(self, given: Any) -> Any:
        try:
            value = _READERS[self.kind](given)
        except (TypeError, ValueError):
            one_of = " or ".join((_WORDS[self.kind], *self.words))
            raise UsageError(f"{self.flag} {given} is not {one_of}") from None
        if self.metavar in {"FILE", "DIR"}:
            if not value:  # as of an unset variable: the current folder is not meant
                what = "folder" if self.metavar == "DIR" else "file"
                raise UsageError(f"{self.flag} is empty: name a {what}")
            with suppress(ValueError):
                if b"\0" not in os.fsencode(value):
                    return str(Path(value))
            raise UsageError(f"{self.flag} {value!r} is a name that no file can have")
        if self.choices and value not in self.choices:
            one_of = f"it is one of {', '.join(self.choices)}{did_you_mean(value, self.choices)}"
            raise UsageError(f"{self.flag} {value} is unknown: {one_of}")
        least, most = self.least, self.most
        if (least is not None and not value >= least) or (most is not None and not value <= most):
            bounds = f"be at least {least:g}" if most is None else f"lie between {least:g} and {most:g}"
            raise UsageError(f"{self.flag} {value} is out of range: it must {bounds}")
        return value


def option(about: Option | str, default: Any = None, **more: Any) -> Any:
    """Make the field of an option; its default is None unless it is said."""
    return replace(Option(about, **more) if isinstance(about, str) else about, default=default)


def flag(about: Option | str, **more: Any) -> Any:
    """Make the field of an option that is off unless it is given."""
    return option(about, default=False, **more)


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


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Options:
    """Base of classes whose fields are options: what they are made of is read and checked, and stays.

    Their module must not put off the evaluation of annotations. They are no dataclasses, whose making would
    take longer than all else that ``--help`` needs.
    """

    _own: ClassVar[tuple[Option, ...]] = ()
    declared: ClassVar[tuple[Option, ...]] = ()
    """The options of a class, its own before those that it shares."""

    def __init_subclass__(cls) -> None:
        kinds = inspect.get_annotations(cls)
        cls._own = tuple(vars(cls)[name].of_field(name, kind) for name, kind in kinds.items())
        declared: dict[str, Option] = {}
        for each in (each for owner in cls.__mro__ for each in vars(owner).get("_own", ())):
            declared.setdefault(each.name, each)
        cls.declared = tuple(declared.values())
        for each in cls._own:
            setattr(cls, each.name, each.default)

    def __init__(self, **given: Any) -> None:
        for each in self.declared:
            default = each.made_default()
            value = vars(self)[each.name] = each.read(given.pop(each.name, default))
            if each.metavar in {"FILE", "DIR"} and isinstance(default, str) and value == default:
                refuse_link_out(default)
        if given:
            raise TypeError(f"{type(self).__name__} has no option {', '.join(given)}")
        self._check()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} of {type(self).__name__} stays as it is")

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({values})"

    def _check(self) -> None:
        """Raise UsageError where options contradict each other."""

    def but(self, **changes: Any) -> Self:
        """Give the same with other values of some options."""
        return type(self)(**vars(self) | changes)

    def recorded(self) -> dict[str, Any]:
        """Give the options that a result depends on, where they have a value."""
        values = {each.name: vars(self)[each.name] for each in self.declared if each.recorded}
        return {name: value for name, value in values.items() if value not in (None, ())}


def as_arguments(options: type[Options], chosen: Mapping[str, Any]) -> list[str]:
    """Write values of options as a person types them in any folder; those that are not the usual ones."""
    typed = []
    for each in (each for each in options.declared if each.name in chosen):
        value = chosen[each.name]
        if value and each.metavar in {"FILE", "DIR"}:
            value = tuple(map(os.path.abspath, value)) if each.many else os.path.abspath(value)
        if value is True:
            typed.append(each.flag)
        elif value != each.read(each.made_default()):
            typed += [part for one in (value if each.many else (value,)) for part in (each.flag, str(one))]
    return typed


def spread(
    function: Callable[..., _Result], parameter: Callable[[Option], inspect.Parameter]
) -> Callable[..., _Result]:
    """Make of a function with a parameter `options`, a class, one with a keyword for each of its options.

    `parameter` says how the signature shows an option. None stands for the default, but where that is a value
    and None another. TypeError where one that is required is not given.
    """
    own = dict(inspect.signature(function, eval_str=True).parameters)
    kind: type[Options] = own.pop("options").annotation
    known = {each.name: each for each in kind.declared}

    @functools.wraps(function)
    def with_keywords(*arguments: Any, **given: Any) -> _Result:
        for name in (each.name for each in known.values() if each.default is MISSING):
            if name not in given:
                raise TypeError(f"{function.__name__}() needs {name}=")
        values = {name: given.pop(name) for name in known if name in given}
        options = kind(
            **{n: value for n, value in values.items() if value is not None or known[n].takes_none}
        )
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


def _keyword(each: Option) -> inspect.Parameter:
    default = inspect.Parameter.empty if each.default is MISSING else each.fixed_default
    return inspect.Parameter(
        each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=each.annotation
    )
