# SPDX-License-Identifier: BSD-3-Clause
"""The training configuration: a YAML file with the sections data, model, training and output.

Every key is checked before anything is computed; an unknown key is an error that names the allowed
ones. Relative paths in the file are relative to the folder of the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key, the value and the cure."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class DataSource(_Section):
    """One file that ASE can read, with an optional selection of its frames.

    max_force: drop frames with a force component above this magnitude (eV/Å).
    max_energy: drop frames whose energy per atom lies more than this above the lowest of the file
        (eV); meant for files with one composition.
    stride: keep every n-th frame, counted before the other selections.
    """

    path: Path
    max_force: PositiveFloat | None = None
    max_energy: PositiveFloat | None = None
    stride: PositiveInt = 1


def _as_sources(value: Any) -> Any:
    """Accept `a.xyz`, `{path: a.xyz}` and lists of these for a list of sources."""
    values = value if isinstance(value, list | tuple) else [value]
    return [{"path": v} if isinstance(v, str | Path) else v for v in values]


Sources = Annotated[tuple[DataSource, ...], BeforeValidator(_as_sources), Field(min_length=1)]


class DataConfig(_Section):
    """Where the labelled structures are, and under which names the labels are stored."""

    train: Sources
    valid: Sources
    energy_key: str = "energy"
    forces_key: str = "forces"
    stress_key: str = "stress"


class ModelConfig(_Section):
    """Hyperparameters of `loremd.Lorem`, with its defaults but for `norm_epsilon`."""

    cutoff: PositiveFloat = 5.0
    max_degree: Annotated[int, Field(ge=0)] = 6
    max_degree_lr: Annotated[int, Field(ge=0)] = 2
    num_features: PositiveInt = 128
    num_radial: PositiveInt = 32
    num_species: PositiveInt = 8
    num_spherical_features: PositiveInt = 8
    cutoff_fn: Literal["cosine_cutoff", "smooth_cutoff"] = "cosine_cutoff"
    radial_basis: Literal["basic_bernstein"] = "basic_bernstein"
    lr: bool = True
    num_message_passing: Annotated[int, Field(ge=0)] = 0
    equivariant_message_passing: bool = True
    initialize_node_features: bool = True
    norm_epsilon: Annotated[float, Field(ge=0)] = 1e-3

    @model_validator(mode="after")
    def _degrees(self) -> ModelConfig:
        if self.lr and self.max_degree_lr > self.max_degree:
            raise ValueError(
                f"max_degree_lr is {self.max_degree_lr}, expected at most max_degree = "
                f"{self.max_degree}"
            )
        return self


class LossConfig(_Section):
    """Weights of the mean squared errors: energy per atom (eV), force component (eV/Å), and
    stress times volume per atom (eV). A weight of zero leaves the term out."""

    energy: Annotated[float, Field(ge=0)] = 10.0
    forces: Annotated[float, Field(ge=0)] = 1.0
    stress: Annotated[float, Field(ge=0)] = 1.0

    @model_validator(mode="after")
    def _not_all_zero(self) -> LossConfig:
        if self.energy == self.forces == self.stress == 0:
            raise ValueError("all loss weights are 0, expected at least one positive weight")
        return self


class TrainingConfig(_Section):
    """How the parameters are fitted."""

    epochs: PositiveInt = 200
    batch_size: PositiveInt = 4
    learning_rate: PositiveFloat = 2e-3
    final_learning_rate: Annotated[float, Field(ge=0)] = 1e-6
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    gradient_clip: PositiveFloat | None = 10.0
    loss: LossConfig = LossConfig()
    scale_features: bool = True
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    ewald_accuracy: Annotated[float, Field(gt=0, lt=1)] = 1e-6
    time_limit_minutes: PositiveFloat | None = None
    seed: int = 0
    threads: PositiveInt | None = None
    dtype: Literal["float32", "float64"] = "float32"

    @model_validator(mode="after")
    def _schedule(self) -> TrainingConfig:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs is {self.warmup_epochs:g}, expected less than epochs = "
                f"{self.epochs}"
            )
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate is {self.final_learning_rate:g}, expected at most "
                f"learning_rate = {self.learning_rate:g}"
            )
        return self


class OutputConfig(_Section):
    """Where the results go: checkpoint, log, plots and the model file."""

    folder: Path = Path("run")
    model: str = "model.pt"


class Config(_Section):
    """The whole configuration. `data` has no defaults; every other section may be left out."""

    data: DataConfig
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    output: OutputConfig = OutputConfig()


def load_config(path: str | Path) -> Config:
    """Read a YAML configuration; relative paths in it become relative to its folder.

    Raises ConfigError with one line per problem.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"no configuration file {path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} is not a YAML file: {reason}") from None
    return _with_base(parse_config(content, source=str(path)), path.resolve().parent)


def parse_config(content: Any, *, source: str = "configuration") -> Config:
    """Check a configuration given as nested dictionaries; `source` begins the error message."""
    if not isinstance(content, dict):
        allowed = ", ".join(Config.model_fields)
        raise ConfigError(f"{source}: expected the sections {allowed}, got {content!r:.60}")
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        problems = [_describe(problem) for problem in error.errors()]
        raise ConfigError(f"{source}: " + "; ".join(problems)) from None


def _describe(problem: Any) -> str:
    """One problem found by pydantic, as 'section.key: what is wrong (what is allowed)'."""
    location = [str(part) for part in problem["loc"]]
    name = ".".join(location)
    if problem["type"] == "extra_forbidden":
        return f"{name}: unknown key; allowed here: {', '.join(_keys_at(location[:-1]))}"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if problem["type"] == "missing":
        return f"{name}: missing"
    if problem["type"] == "value_error":
        return f"{name}: {message}"
    return f"{name}: {message}, got {problem['input']!r}"


def _keys_at(location: list[str]) -> list[str]:
    """The allowed keys of the section that `location` leads to."""
    section: type[BaseModel] = Config
    for part in location:
        if part.isdigit():
            return list(DataSource.model_fields)
        annotation = section.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            continue
        section = annotation
    return list(section.model_fields)


def _with_base(config: Config, base: Path) -> Config:
    """The configuration with every relative path taken from the folder `base`."""

    def moved(sources: tuple[DataSource, ...]) -> tuple[DataSource, ...]:
        return tuple(s.model_copy(update={"path": base / s.path}) for s in sources)

    data = config.data.model_copy(
        update={"train": moved(config.data.train), "valid": moved(config.data.valid)}
    )
    output = config.output.model_copy(update={"folder": base / config.output.folder})
    return config.model_copy(update={"data": data, "output": output})
