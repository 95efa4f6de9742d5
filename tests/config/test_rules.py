"""Rules between slots, told before anything is run, and together with all other mistakes."""

from __future__ import annotations

import pytest

from seasonrec.config import Composer, ConfigError

TASKS = "task=[purchase]"
FSDP = ("trainer.strategy=fsdp", "trainer.devices=2")
REFUSED = {
    "seed below the range": (["seed=-1"], "seed = -1: must be at least 0; try seed=0"),
    "seed above the range": (["seed=4294967296"], "seed = 4294967296: must be at most 4294967295"),
    "no epochs": (["trainer.max_epochs=0"], "trainer.max_epochs = 0: must be at least 1"),
    "no width": (["embedding_dim=0"], "embedding_dim = 0: must be at least 1"),
    "heads": (["backbone.num_heads=3"], "backbone.num_heads = 3: must divide embedding_dim=64; choose one of [1, 2, 4"),
    "cuts": (
        ["split.validation_from=2017-10-02", "split.test_from=2017-10-02"],
        "split.test_from = 2017-10-02: must lie after split.validation_from=2017-10-02",
    ),
    "features without columns": (
        ["data=table", "data.events=E.csv", "data.items=I.csv", "item_encoder=features"],
        "item_encoder = features: needs items with features; name columns of the items' file, data.features=[price]",
    ),
    "behaviours without a column": (
        ["data=table", "data.events=E.csv", "data.items=I.csv", "behaviour=embedding"],
        "behaviour = embedding: needs events with behaviours; name their column, data.behaviour_column=NAME",
    ),
    "no weight left": (
        ["objective.lambda_mt=0"],
        "objective.lambda_mt = 0: leaves nothing to learn without a time-series task",
    ),
    "balancing of one task": (
        ["balancing=uncertainty"],
        "balancing = uncertainty: balances recommendation tasks and needs at least two, got next_item alone",
    ),
    "weight of a task that is off": (
        ["balancing.weights.purchase=2"],
        "balancing.weights.purchase = 2: is none of the recommendation tasks next_item",
    ),
    "gradient balancing with adversarial passes": (
        [TASKS, "balancing=pcgrad", "adversarial=fgm"],
        "adversarial = fgm: balancing=pcgrad reads the gradients of the clean batch alone; set adversarial=none, or",
    ),
    "gradient balancing with a loss scaler": (
        [TASKS, "balancing=mgda", "trainer.precision=16-mixed"],
        "trainer.precision = 16-mixed: scales the loss, and balancing=mgda takes the gradient of each task by itself",
    ),
    "gradient balancing of a compiled model": (
        [TASKS, "balancing=gradnorm", "trainer.compile=true"],
        "trainer.compile = true: balancing=gradnorm goes back through the model once for each task",
    ),
    "gradient balancing in several processes": (
        [TASKS, "balancing=cagrad", "trainer.devices=2"],
        "trainer.devices = 2: balancing=cagrad needs every gradient in one process",
    ),
    "interference of one task": (
        ["objective.interference_every_steps=5"],
        "objective.interference_every_steps = 5: compares the gradients of tasks and needs at least two",
    ),
    "interference with shared weights": (
        [TASKS, "objective.interference_every_steps=5", *FSDP],
        "trainer.strategy = fsdp: objective.interference_every_steps=5 needs every gradient in one process",
    ),
    "shared weights of one process": (["trainer.strategy=fsdp"], "trainer.strategy = fsdp: spreads the weights over"),
    "adversarial passes with shared weights": (
        ["adversarial=pgd", *FSDP],
        "trainer.strategy = fsdp: adversarial=pgd needs the whole model in each process",
    ),
    "adversarial passes of a compiled model": (
        ["adversarial=vat", "trainer.compile=true"],
        "trainer.compile = true: adversarial=vat changes the inputs of the model in each pass",
    ),
    "adversarial inputs without a backbone": (
        ["adversarial=fgm", "adversarial.target=inputs", "backbone=none"],
        "adversarial.target = inputs: needs a backbone that reads events, got backbone=none",
    ),
    "adversarial texts without texts": (
        ["adversarial=fgm", "adversarial.target=text", "item_encoder=id"],
        "adversarial.target = text: needs an item encoder with texts, got item_encoder=id",
    ),
    "tuning without a language model": (["peft=lora"], "peft = lora: needs a language model in the model, found none"),
    "tuning of another slot": (
        ["peft=lora", "peft.target=item_encoder", "backbone=minilm"],
        "peft = lora: needs a language model in peft.target=item_encoder, found none",
    ),
    "adalora with a loss scaler": (
        ["peft=adalora", "backbone=minilm", "trainer.precision=16-mixed"],
        "trainer.precision = 16-mixed: peft=adalora reads the gradients of every step",
    ),
    "varied texts that nothing reads": (
        ["text_augmentation=synonym", "item_encoder=id"],
        "text_augmentation = synonym: varies the texts that item_encoder=text or id_text read, got item_encoder=id",
    ),
    "varied texts of a table without texts": (
        ["data=table", "data.events=E.csv", "text_augmentation=synonym"],
        "text_augmentation = synonym: needs item texts; give the items' file, data.items=FILE",
    ),
    "spend of a table without values": (
        ["data=table", "data.events=E.csv", "task=[spend]"],
        "task.spend: needs events with a value; name their column, data.value_column=NAME",
    ),
    "a day in another form": (
        ["split.validation_from=2016-10-01", "split.test_from=01.12.2016"],
        "split.test_from = 01.12.2016: must be a day; write YYYY-MM-DD, for example 2017-11-06",
    ),
    "a demand that nothing reads": (
        ["demand=multinomial"],
        "demand = multinomial: must be read by a mixture or the habit, got mixture=none; choose mixture=gated, set",
    ),
    "a habit without the demand that it reads": (
        ["habit.demand=true"],
        "habit.demand = true: reads an expected demand, got demand=none; set demand=multinomial, or habit.demand=false",
    ),
    "young items by a text that their vectors do not read": (
        ["season=[years]"],
        "season.years.young_by_text = item_encoder=id_text: reads item vectors that are made of texts alone; set",
    ),
    "no stage": (["stage=[]"], "stage = []: must name at least one stage; write stage=[train]"),
    "refit before train": (["stage=[refit,train]"], "stage = ['refit', 'train']: refit comes after train"),
}
ACCEPTED = {
    "a demand of a mixture": ["demand=multinomial", "mixture=fixed"],
    "a demand of the habit": ["demand=multinomial", "habit.demand=true"],
    "young items by their texts": ["season=[years]", "item_encoder=text"],
    "two tasks": [TASKS, "balancing=pcgrad"],
    "a time-series task alone": ["task=[demand]", "objective.lambda_mt=0"],
    "weights of both tasks": [TASKS, "balancing.weights={next_item: 1, purchase: 2}"],
    "tuning of the backbone": ["peft=adalora", "backbone=minilm"],
    "tuning of the item encoder": ["peft=lora", "item_encoder=tuned_text"],
    "varied texts": ["text_augmentation=synonym"],
    "interference of two tasks": ["task=[demand]", "objective.interference_every_steps=5"],
    "adversarial passes in two processes": ["adversarial=fgm", "trainer.strategy=ddp", "trainer.devices=2"],
}


@pytest.mark.parametrize(("overrides", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_together_with_other_mistakes(composer: Composer, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        composer.compose([*overrides, "loader.zzz=1"])
    assert f"\n  {message}" in str(error.value)
    assert "\n  loader.zzz = 1: unknown key" in str(error.value)


@pytest.mark.parametrize("overrides", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(composer: Composer, overrides: list[str]) -> None:
    assert composer.mistakes(overrides) == []


def test_a_rule_says_nothing_about_a_slot_with_a_mistake(composer: Composer) -> None:
    (mistake,) = composer.mistakes(["seed=first"])
    assert str(mistake).startswith("seed = 'first': must be int")
    (mistake,) = composer.mistakes(["balancing=mgda", "task=[purchas]"])
    assert mistake.path == "task"


def test_all_rules_in_one_message(composer: Composer) -> None:
    overrides = ["seed=-1", "peft=lora", "balancing=mgda", "adversarial=fgm", "trainer.strategy=fsdp"]
    assert {mistake.path for mistake in composer.mistakes(overrides)} == {
        "seed", "peft", "balancing", "adversarial", "trainer.strategy",
    }  # fmt: skip
