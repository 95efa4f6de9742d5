"""Rules between the slots of a run, checked before heavy imports."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import date
from itertools import pairwise
from typing import Any

from seasonrec.config.errors import Mistake, shown
from seasonrec.config.relations import RELATIONS, Rule
from seasonrec.config.slots import MAIN_TASK, OWN, SERIES, Slots, UnclearError, option_of

GRADIENT_BALANCING = ("cagrad", "gradnorm", "mgda", "pcgrad", "upgrad")
TEXT_ENCODERS = ("text", "id_text", "features")
"""Item encoders that read texts, and variants of texts, through a frozen language model."""


def rule_mistakes(config: Mapping[str, Any], broken: Collection[str] = ()) -> list[Mistake]:
    """Returns the mistakes of all rules; a rule that reads a slot with a mistake is left out.

    Args:
        config: Plain values of a run, complete or not.
        broken: Top-level keys with a mistake in their values.
    """
    found: list[Mistake] = []
    for rule in RULES:
        with suppress(UnclearError):
            found.extend(rule(Slots(config, broken)))
    return found


def reads_the_date(config: Mapping[str, Any]) -> bool:
    """Returns whether a run has a season or a demand, which read the date of a request.

    Args:
        config: Plain values of a run.
    """
    demand = config.get("demand")
    return bool(config.get("season")) or (demand is not None and option_of(demand) != "none")


def _heads(slots: Slots) -> Iterator[Mistake]:
    width = slots.node("embedding_dim")
    for slot in ("backbone", "temporal"):
        heads = slots.value(slot, "num_heads")
        if heads is not None and slots.option(slot) != OWN and width % heads:
            divisors = [number for number in range(1, width + 1) if width % number == 0]
            problem = f"must divide embedding_dim={width}"
            yield Mistake(f"{slot}.num_heads", problem, f"choose one of {divisors}", shown(heads))


def _cuts(slots: Slots) -> Iterator[Mistake]:
    if slots.option("split") == OWN:
        return
    names = ("train_from", "validation_from", "test_from", "test_until")
    days = {name: day for name in names if (day := slots.value("split", name)) is not None}
    for name in [name for name, day in days.items() if not _is_day(day)]:
        yield Mistake(f"split.{name}", "must be a day", "write YYYY-MM-DD, for example 2017-11-06", days.pop(name))
    for (first, day), (second, later) in pairwise(days.items()):
        if day >= later:  # days as YYYY-MM-DD are in the order of their text
            yield Mistake(f"split.{second}", f"must lie after split.{first}={day}", "move one of the two", later)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _series(slots: Slots) -> Iterator[Mistake]:
    weights = {key: slots.value("objective", key) for key in ("lambda_mt", "lambda_t")}
    if weights["lambda_mt"] == 0 and not {*SERIES, OWN} & set(slots.tasks().values()):
        problem = "leaves nothing to learn without a time-series task"
        yield Mistake("objective.lambda_mt", problem, "give it a value above 0, or add task=[demand]", "0")
    elif weights["lambda_mt"] == 0 and weights["lambda_t"] == 0:
        problem = "leaves nothing to learn together with objective.lambda_t=0"
        yield Mistake("objective.lambda_mt", problem, "give one of them a value above 0", "0")


def _balancing(slots: Slots) -> Iterator[Mistake]:
    option, tasks = slots.option("balancing"), slots.recommendation_tasks()
    if option not in ("fixed", OWN) and len(tasks) < 2:
        problem = f"balances recommendation tasks and needs at least two, got {MAIN_TASK} alone"
        yield Mistake("balancing", problem, "add one with task=[...], or set balancing=fixed", option)
    weights = (slots.value("balancing", "weights") or {}) if option == "fixed" else {}
    for name, weight in weights.items():
        path = f"balancing.weights.{name}"
        if name not in tasks:
            remedy = "switch the task on with task=[...], or take its weight out"
            yield Mistake(path, f"is none of the recommendation tasks {', '.join(tasks)}", remedy, shown(weight))


def _gradients(slots: Slots) -> Iterator[Mistake]:
    """Yields the mistakes of runs that balance or compare the gradients of tasks."""
    option, every = slots.option("balancing"), slots.value("objective", "interference_every_steps")
    askers = {
        f"balancing={option}": ("balancing=uncertainty, dwa or fixed", option in GRADIENT_BALANCING),
        f"objective.interference_every_steps={every}": ("objective.interference_every_steps=0", bool(every)),
    }
    for asker, (without, asks) in askers.items():
        if asks:
            yield from _each_gradient(slots, asker, f"or set {without}")
    if every and len(slots.recommendation_tasks()) + len(set(slots.tasks().values()) & {*SERIES}) < 2:
        problem = f"compares the gradients of tasks and needs at least two, got {MAIN_TASK} alone"
        yield Mistake(
            "objective.interference_every_steps", problem, "add one with task=[...], or set it to 0", str(every)
        )
    if every and slots.shares_weights():
        problem = f"objective.interference_every_steps={every} needs every gradient in one process"
        yield Mistake("trainer.strategy", problem, "choose trainer.strategy=ddp, or set the key to 0", "fsdp")
    if option in GRADIENT_BALANCING and slots.processes() > 1:
        problem = f"balancing={option} needs every gradient in one process"
        remedy = "set trainer.devices=1 and trainer.num_nodes=1, or balancing=uncertainty, dwa or fixed"
        yield Mistake("trainer.devices", problem, remedy, str(slots.value("trainer", "devices")))
    if option in GRADIENT_BALANCING and slots.option("adversarial") != "none":
        problem = f"balancing={option} reads the gradients of the clean batch alone"
        remedy = "set adversarial=none, or balancing=uncertainty, dwa or fixed"
        yield Mistake("adversarial", problem, remedy, slots.option("adversarial"))


def _each_gradient(slots: Slots, asker: str, without: str) -> Iterator[Mistake]:
    if slots.value("trainer", "precision") == "16-mixed":
        problem = f"scales the loss, and {asker} takes the gradient of each task by itself"
        yield Mistake("trainer.precision", problem, f"set trainer.precision=bf16-mixed, {without}", "16-mixed")
    if slots.value("trainer", "compile"):
        problem = f"{asker} goes back through the model once for each task, which a compiled model does not allow"
        yield Mistake("trainer.compile", problem, f"set trainer.compile=false, {without}", "true")


def _adversarial(slots: Slots) -> Iterator[Mistake]:
    option = slots.option("adversarial")
    if option == "none":
        return
    if slots.shares_weights():
        problem = f"adversarial={option} needs the whole model in each process"
        yield Mistake("trainer.strategy", problem, "choose trainer.strategy=ddp, or adversarial=none", "fsdp")
    if slots.value("trainer", "compile"):
        problem = f"adversarial={option} changes the inputs of the model in each pass, which a compiled model ignores"
        yield Mistake("trainer.compile", problem, "set trainer.compile=false, or adversarial=none", "true")
    target = slots.value("adversarial", "target")
    if target == "inputs" and slots.option("backbone") == "none":
        yield Mistake(
            "adversarial.target", "needs a backbone that reads events, got backbone=none", "choose items", target
        )
    if target == "text" and slots.option("item_encoder") not in (*TEXT_ENCODERS, "tuned_text", OWN):
        problem = f"needs an item encoder with texts, got item_encoder={slots.option('item_encoder')}"
        yield Mistake("adversarial.target", problem, "choose items, or item_encoder=id_text", target)


def _peft(slots: Slots) -> Iterator[Mistake]:
    option = slots.option("peft")
    if option in ("none", OWN):
        return
    readers = {"backbone": slots.option("backbone") in ("pretrained", OWN)}
    readers["item_encoder"] = slots.option("item_encoder") in ("tuned_text", OWN)
    target = slots.value("peft", "target")
    if not any(has for slot, has in readers.items() if target in ("all", slot, None)):
        where = "the model" if target in ("all", None) else f"peft.target={target}"
        remedy = "choose backbone=minilm or item_encoder=tuned_text, or peft=none"
        yield Mistake("peft", f"needs a language model in {where}, found none", remedy, option)
    if option == "adalora" and slots.value("trainer", "precision") == "16-mixed":
        problem = "peft=adalora reads the gradients of every step, which may be infinite with loss scaling"
        yield Mistake("trainer.precision", problem, "set 32-true or bf16-mixed, or choose peft=lora", "16-mixed")
    if option == "adalora" and slots.shares_weights():
        problem = "peft=adalora compares the weights of all matrices in one process"
        yield Mistake("trainer.strategy", problem, "set trainer.strategy=ddp, or choose peft=lora", "fsdp")


def _text_augmentation(slots: Slots) -> Iterator[Mistake]:
    option = slots.option("text_augmentation")
    if option != "none" and slots.option("item_encoder") not in (*TEXT_ENCODERS, OWN):
        problem = (
            f"varies the texts that item_encoder=text or id_text read, got item_encoder={slots.option('item_encoder')}"
        )
        yield Mistake("text_augmentation", problem, "choose item_encoder=id_text, or text_augmentation=none", option)


def _columns(slots: Slots) -> Iterator[Mistake]:
    """Yields the components that need a column which the user's table does not have."""
    data = slots.option("data")
    if data not in ("table", OWN):
        yield from _columns_of_table_alone(slots, data)
    if data != "table":
        return
    if not slots.value("data", "features") and slots.option("item_encoder") == "features":
        remedy = "name columns of the items' file, data.features=[price], or choose item_encoder=id_text"
        yield Mistake("item_encoder", "needs items with features", remedy, "features")
    if slots.value("data", "behaviour_column") is None and slots.option("behaviour") not in ("none", OWN):
        remedy = "name their column, data.behaviour_column=NAME, or set behaviour=none"
        yield Mistake("behaviour", "needs events with behaviours", remedy, slots.option("behaviour"))
    if slots.value("data", "items") is None:
        remedy = "give the items' file, data.items=FILE"
        if slots.option("text_augmentation") != "none":
            yield Mistake("text_augmentation", "needs item texts", remedy, slots.option("text_augmentation"))
        if slots.value("augmentation", "by") == "text":
            yield Mistake("augmentation.by", "needs item texts", f"{remedy}, or choose by=baskets", "text")
        for name, option in slots.tasks().items():
            if option == "category":
                yield Mistake(f"task.{name}", "needs items of at least 2 categories", remedy)
    if slots.value("data", "value_column") is None and "spend" in slots.tasks().values():
        yield Mistake("task.spend", "needs events with a value", "name their column, data.value_column=NAME")


def _columns_of_table_alone(slots: Slots, data: str) -> Iterator[Mistake]:
    """Yields the components that read columns which no shipped data set but ``table`` has."""
    if slots.option("item_encoder") == "features":
        remedy = "choose item_encoder=id_text, or data=table with data.features=[COLUMN]"
        yield Mistake("item_encoder", f"needs items with features, and data={data} has none", remedy, "features")
    if slots.option("behaviour") not in ("none", OWN):
        problem = f"needs events with behaviours, and data={data} has none"
        remedy = "set behaviour=none, or choose data=table with data.behaviour_column=NAME"
        yield Mistake("behaviour", problem, remedy, slots.option("behaviour"))


def _processes(slots: Slots) -> Iterator[Mistake]:
    if slots.shares_weights() and slots.processes() == 1:
        problem = "spreads the weights over processes and needs more than one, got trainer.devices=1"
        yield Mistake("trainer.strategy", problem, "raise trainer.devices, or set trainer.strategy=auto", "fsdp")


def _demand(slots: Slots) -> Iterator[Mistake]:
    option, habit_reads = slots.option("demand"), bool(slots.value("habit", "demand"))
    if option == "none" and habit_reads:
        remedy = "set demand=multinomial, or habit.demand=false"
        yield Mistake("habit.demand", "reads an expected demand, got demand=none", remedy, "true")
    if option != "none" and not habit_reads and slots.option("mixture") == "none" and slots.option("habit") != OWN:
        remedy = "choose mixture=gated, set habit.demand=true, or choose demand=none"
        yield Mistake("demand", "must be read by a mixture or the habit, got mixture=none", remedy, option)


def _young_items(slots: Slots) -> Iterator[Mistake]:
    for name, season in (slots.node("season") or {}).items():
        if season.get("young_by_text") and slots.option("item_encoder") != "text":
            place = f"season.{name}.young_by_text"
            problem, remedy = (
                "reads item vectors that are made of texts alone",
                f"set item_encoder=text, or {place}=false",
            )
            yield Mistake(place, problem, remedy, f"item_encoder={slots.option('item_encoder')}")


def _stages(slots: Slots) -> Iterator[Mistake]:
    names = list(slots.node("stage") or {})
    if not names:
        yield Mistake("stage", "must name at least one stage", "write stage=[train]", "[]")
    if "refit" in names and "train" not in names[: names.index("refit")]:
        yield Mistake("stage", "refit comes after train", "write stage=[train,refit]", shown(names))


RULES: tuple[Rule, ...] = (
    _heads, _cuts, _series, _balancing, _gradients, _adversarial, _peft, _text_augmentation, _columns,
    _processes, _demand, _young_items, _stages, *RELATIONS,
)  # fmt: skip
