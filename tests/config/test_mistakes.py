"""Each kind of mistake, on the shipped configuration tree."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from seasonrec.cli.commands import COMMANDS
from seasonrec.config import Composer, ConfigError, conf_dir
from seasonrec.config.tree import LIST_GROUPS

AddFile = Callable[[str, str], Composer]
SEASONS = sorted(path.stem for path in (conf_dir() / "season").glob("*.yaml"))

ON_THE_COMMAND_LINE = {
    "unknown top-level key": (["batch_sise=3"], "batch_sise = 3: unknown key, neither a value nor a group"),
    "misspelt top-level key": (["sead=3"], "sead = 3: unknown key, neither a value nor a group; did you mean 'seed'?"),
    "misspelt group": (
        ["seasn=none"],
        "seasn = none: unknown key, neither a value nor a group; did you mean 'season'?",
    ),
    "unknown group": (["models/season=none"], "models/season=none: there is no group 'models/season'"),
    "unknown option": (["backbone=sasrek"], "backbone = sasrek: unknown option; did you mean 'sasrec'?"),
    "unknown entry of a list": (["task=[purchas]"], "task = purchas: unknown option; did you mean 'purchase'?"),
    "one entry twice": (
        ["task=[purchase,purchase]"],
        "task = ['purchase', 'purchase']: names 'purchase' 2 times; name each once",
    ),
    "misspelt key of an entry of a list": (
        ["task=[purchase]", "task.purchase.num_negativs=3"],
        "task.purchase.num_negativs = 3: unknown key of seasonrec.models.task.purchase.PurchaseHead; did you mean",
    ),
    "unknown domain": (["domain=[flickrs]"], "domain = flickrs: unknown option; did you mean 'flickr'?"),
    "domain without its file": (
        ["domain=[flickr]"],
        "domain.flickr.data.path: missing, seasonrec.data.datasets.flickr.Flickr needs it; write "
        "domain.flickr.data.path=... (str)",
    ),
    "domain of an ablation without its file": (
        ["ablation=flickr_domain"],
        "domain.flickr.data.path: missing, seasonrec.data.datasets.flickr.Flickr needs it",
    ),
    "misspelt key of a domain": (
        ["domain=[flickr]", "domain.flickr.data.path=V.parquet", "domain.flickr.alfa=1"],
        "domain.flickr.alfa = 1: unknown key of seasonrec.runs.domains.Domain; did you mean 'alpha'?",
    ),
    "misspelt key of a domain's data": (
        ["domain=[flickr]", "domain.flickr.data.path=V.parquet", "domain.flickr.data.town=Osaka"],
        "domain.flickr.data.town = 'Osaka': unknown key of seasonrec.data.datasets.flickr.Flickr; valid names: "
        "calendar, city, path",
    ),
    "mistyped value of a domain": (
        ["domain=[flickr]", "domain.flickr.data.path=V.parquet", "domain.flickr.alpha=half"],
        "domain.flickr.alpha = 'half': must be float, got str",
    ),
    "domain that is not chosen": (
        ["domain.flickr.data.path=V.parquet"],
        "domain.flickr = {'data': {'path': 'V.parquet'}}: has no _target_; choose one of domain=flickr|table",
    ),
    "target of the standard library": (
        ["data._target_=subprocess.run"],
        "data._target_ = subprocess.run: 'subprocess' belongs to Python's standard library, which holds no components; "
        "name a class of seasonrec or of a module of your own",
    ),
    "unknown ablation": (["ablation=no_txt"], "ablation = no_txt: unknown option; did you mean 'no_text'?"),
    "unknown key in a slot": (
        ["loader.zzz=1"],
        "loader.zzz = 1: unknown key of seasonrec.batches.loader.LoaderOptions; valid names: batch_size, ",
    ),
    "misspelt key in a slot": (
        ["backbone.num_layer=3"],
        "backbone.num_layer = 3: unknown key of seasonrec.models.backbone.sasrec.SASRec; did you mean 'num_layers'?",
    ),
    "misspelt key in a nested component": (
        ["season.momentum.window_days=[7]"],
        "season.momentum.window_days = [7]: unknown key of seasonrec.models.season.momentum.MomentumSeason; "
        "did you mean 'windows_days'?",
    ),
    "string for int": (["seed=first"], "seed = 'first': must be int, got str; try seed=0"),
    "bool for int": (["seed=true"], "seed = true: must be int, got bool"),
    "float for int": (["trainer.max_epochs=1.5"], "trainer.max_epochs = 1.5: must be int, got float"),
    "string for float": (["backbone.dropout=low"], "backbone.dropout = 'low': must be float, got str"),
    "string for bool": (["loader.shuffle=maybe"], "loader.shuffle = 'maybe': must be bool, got str"),
    "list for scalar": (["split.test_from=[2017-11-06]"], "must be str or null, got list"),
    "unknown word in a list": (
        ["season=[last_year]", "season.last_year.use=[id,words]"],
        "season.last_year.use = ['id', 'words']: must be tuple[Literal['id', 'category', 'cluster', 'text'], ...], got "
        "list; try season.last_year.use=['id','category']",
    ),
    "scalar for list": (["protocol.top_ks=10"], "protocol.top_ks = 10: must be tuple[int, ...], got int; write [10]"),
    "wrong entry of a list": (["season.momentum.windows_days=[7,month]"], "must be tuple[int, ...], got list"),
    "list of wrong length": (
        ["optimizer.betas=[0.9]"],
        "optimizer.betas = [0.9]: must be tuple[float, float], got list",
    ),
    "int for string": (["name=7"], "name = 7: must be str, got int; put it in quotes: \"'7'\" on a command line"),
    "null for a value": (["seed=null"], "seed = null: must be int, got NoneType"),
    "none of the choices": (["trainer.monitor=loss"], "trainer.monitor = 'loss': must be one of 'bits', 'ndcg@10'"),
    "missing mandatory value": (["name=???"], "name = ???: a mandatory value is missing; give it: name=..."),
    "missing required argument": (
        ["data=table"],
        "data.events: missing, seasonrec.data.datasets.table.Table needs it; write data.events=... (",
    ),
    "argument given by code": (
        ["backbone.facts=1"],
        "backbone.facts = 1: seasonrec.models.backbone.sasrec.SASRec is given this by code, never by yaml",
    ),
    "leftover of a removed option": (
        ["backbone=none", "backbone.num_layers=3"],
        "backbone.num_layers = 3: a leftover, backbone=none does not take it; take it out, it belongs to backbone=",
    ),
    "option of a season that is not chosen": (
        ["season=[text]", "season.momentum.windows_days=[7]"],
        "season.momentum = {'windows_days': [7]}: has no _target_; choose one of season=",
    ),
    "leftover of an ablated option": (
        ["ablation=no_text", "item_encoder.reader=minilm"],
        "item_encoder.reader = 'minilm': a leftover, item_encoder=id does not take it",
    ),
    "added key": (["+seed=1"], "+seed=1: '+' adds keys that no signature knows; write seed=1"),
    "added key in a slot": (["+loader.zzz=1"], "loader.zzz = 1: unknown key of seasonrec.batches.loader.LoaderOptions"),
    "forced key": (["++loader.batch_size=1"], "'+' adds keys that no signature knows; write loader.batch_size=1"),
    "removed slot": (["~habit"], "~habit: '~' is not supported; write habit=none to switch it off"),
    "removed slot without an off": (["~data"], "~data: '~' is not supported; choose one of complete_journey, "),
    "removed entry": (["~season.text"], "~season.text: '~' is not supported; write season=[A,B] without text"),
    "removed key": (["~seed"], "~seed: '~' is not supported; write seed=..., or take it out"),
    "removed ablation": (["~ablation"], "~ablation: '~' is not supported; write ablation=null for none"),
    "null in a list": (["season=[text,null]"], f"season = null: unknown option; valid names: {SEASONS[0]}, "),
    "slot set to null": (["habit=null"], "habit = null: a slot cannot be null; write habit=none to switch it off"),
    "slot set to null without an off": (["data=null"], "data = null: a slot cannot be null; choose one of "),
    "value below a value": (["seed.first=1"], "seed.first = 1: 'seed' is a single value without keys of its own"),
    "same key twice": (["seed=1", "seed=2"], "seed = 1, 2: set 2 times; keep one of them"),
    "same group twice": (["habit=none", "habit=frequency"], "habit = none, frequency: set 2 times; keep one of them"),
    "slot that the ablation sets": (
        ["ablation=no_text", "item_encoder=text"],
        "item_encoder = text: ablation=no_text sets this slot already, and the command line would win over it",
    ),
    "interpolation to nowhere": (
        ["run_dir='out/${nam}'"],
        "run_dir = out/${nam}: cannot be resolved (Interpolation key 'nam' not found); name an existing key in ${...}",
    ),
    "several values without a multirun": (["seed=1,2"], "seed = 1,2: several values need --multirun"),
    "no override at all": (["seed"], "seed: not a Hydra override"),
    "other class of a component": (
        ["season.momentum._target_=a.b.C"],
        "there is no module 'a.b'; give _target_ as package.module.Class of something",
    ),
}


@pytest.mark.parametrize(("overrides", "message"), ON_THE_COMMAND_LINE.values(), ids=list(ON_THE_COMMAND_LINE))
def test_override(composer: Composer, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        composer.compose(overrides)
    assert message in str(error.value)
    assert "1 mistake in the configuration" in str(error.value), "one mistake must be told once"


@pytest.mark.parametrize("slot", LIST_GROUPS)
def test_a_list_that_is_removed_or_null_is_to_be_empty(composer: Composer, slot: str) -> None:
    if slot == "forecaster":
        composer = COMMANDS["forecast"].composer()
    least = {"stage": "write stage=[train] at least", "forecaster": "write forecaster=[seasonal_naive] at least"}
    remedy = least.get(slot, f"write {slot}=[] for none")
    removed, null = (str(*composer.mistakes([override])) for override in (f"~{slot}", f"{slot}=null"))
    assert removed == f"~{slot}: '~' is not supported; {remedy}"
    assert null == f"{slot} = null: a slot cannot be null; {remedy}"


PROTECTED = {"data": "synthetic", "split": "time", "protocol": "full_ranking", "loader": "windows", "trainer": "gpu"}
GLOBAL = "# @package _global_\n# A test.\n"
IN_A_FILE = {
    "no package line": (
        "ablation/bad.yaml",
        "# A test.\ndefaults:\n  - override /habit: none\nname: bad\n",
        "ablation/bad.yaml = '# A test.': its first line is not '# @package _global_', so Hydra would put its values",
    ),
    "package line second": (
        "experiment/bad.yaml",
        "# A test.\n# @package _global_\nseed: 1\n",
        "experiment/bad.yaml = '# A test.': its first line is not '# @package _global_'",
    ),
    "unknown key": (
        "experiment/bad.yaml",
        f"{GLOBAL}sead: 1\n",
        "sead = 1: unknown key of seasonrec.config.schema.RunConfig; did you mean 'seed'?",
    ),
    "unknown key in a slot": (
        "experiment/bad.yaml",
        f"{GLOBAL}split: {{test_form: 2017-11-06}}\n",
        "did you mean 'test_from'?",
    ),
    "mistyped value": (
        "experiment/bad.yaml",
        f"{GLOBAL}trainer: {{max_epochs: many}}\n",
        "trainer.max_epochs = 'many': must be int, got str",
    ),
    "slot set to null": (
        "experiment/bad.yaml",
        f"{GLOBAL}habit: null\n",
        "habit = null: a slot cannot be null, switching off is an option",
    ),
    "slot set to an option's name": (
        "experiment/bad.yaml",
        f"{GLOBAL}habit: none\n",
        "habit = 'none': is a slot, not a value; set it in a defaults list: override /habit: ...",
    ),
    "unknown option": (
        "ablation/bad.yaml",
        f"{GLOBAL}defaults:\n  - override /habit: nome\nname: bad\n",
        "ablation/bad.yaml: habit = nome: unknown option; did you mean 'none'?",
    ),
    "unknown group": (
        "ablation/bad.yaml",
        f"{GLOBAL}defaults:\n  - override /seson: none\n",
        "ablation/bad.yaml: seson = none: unknown group; did you mean 'season'?",
    ),
    "missing value": (
        "experiment/bad.yaml",
        f"{GLOBAL}split:\n  test_from: ???\n",
        "split.test_from = ???: a mandatory value is missing",
    ),
    "interpolation to nowhere": (
        "experiment/bad.yaml",
        f"{GLOBAL}group: ${{nam}}\n",
        "group = ${nam}: cannot be resolved",
    ),
    "not yaml": (
        "experiment/bad.yaml",
        f"{GLOBAL}seed: [1\n",
        "Hydra cannot compose it: while parsing a flow sequence",
    ),
    "key twice": ("experiment/bad.yaml", f"{GLOBAL}seed: 1\nseed: 2\n", "found duplicate key seed"),
    "empty option": (
        "habit/bad.yaml",
        "# Nothing.\n",
        "habit/bad.yaml: the file is empty, so an empty component would reach the model",
    ),
    "option without a target": (
        "habit/bad.yaml",
        "num_layers: 2\n",
        "habit = {'num_layers': 2}: has no _target_; choose one of habit=",
    ),
    "no such module": (
        "habit/bad.yaml",
        "_target_: seasonrec.models.season.momentm.MomentumSeason\n",
        "there is no module 'seasonrec.models.season.momentm'; did you mean 'seasonrec.models.season.momentum'?",
    ),
    "no such class": (
        "habit/bad.yaml",
        "_target_: seasonrec.models.habit.none.NoHabt\n",
        "module 'seasonrec.models.habit.none' has no class or function 'NoHabt'; did you mean 'NoHabit'?",
    ),
    "component of a list under another name": (
        "task/bad.yaml",
        "loud:\n  _target_: seasonrec.models.habit.none.NoHabit\n",
        "task/bad.yaml = loud: it must hold one component with the name 'bad', or two components could have one name",
    ),
    "option that sets another slot": (
        "habit/bad.yaml",
        "defaults:\n  - override /split: time\n_target_: seasonrec.models.habit.none.NoHabit\n",
        "habit/bad.yaml: override /split: an option of a slot must not set other slots",
    ),
    "option with a package line": (
        "habit/bad.yaml",
        "# @package _global_\ntrainer:\n  max_epochs: 99\n",
        "habit/bad.yaml: an option of a slot must not set other slots; take its '@package' line out",
    ),
    **{
        f"ablation that touches {group}": (
            "ablation/bad.yaml",
            f"{GLOBAL}defaults:\n  - override /{group}: {option}\n",
            f"ablation/bad.yaml: {group}: an ablation must not touch it, or the rows of a table could not be compared",
        )
        for group, option in PROTECTED.items()
    },
    "ablation with a budget of its own": (
        "ablation/bad.yaml",
        f"{GLOBAL}trainer:\n  max_epochs: 99\n",
        "ablation/bad.yaml: trainer: an ablation must not touch it",
    ),
    "ablation with a seed of its own": (
        "ablation/bad.yaml",
        f"{GLOBAL}seed: 99\n",
        "ablation/bad.yaml: seed: an ablation must not touch it",
    ),
}


@pytest.mark.parametrize(("name", "content", "message"), IN_A_FILE.values(), ids=list(IN_A_FILE))
def test_file(add_file: AddFile, name: str, content: str, message: str) -> None:
    composer = add_file(name, content)
    with pytest.raises(ConfigError) as error:
        composer.compose([f"{name.partition('/')[0]}=bad"])
    assert message in str(error.value)


def test_value_set_in_an_option_that_an_ablation_removes(add_file: AddFile) -> None:
    composer = add_file("experiment/bad.yaml", f"{GLOBAL}item_encoder:\n  reader: smollm2\n")
    assert composer.compose(["experiment=bad"]).item_encoder["reader"] == "smollm2"
    with pytest.raises(ConfigError, match=r"item_encoder\.reader = 'smollm2': a leftover, item_encoder=id does not"):
        composer.compose(["experiment=bad", "ablation=no_text"])


def test_all_mistakes_in_one_message(composer: Composer) -> None:
    overrides = ["backbone=sasrek", "season=xyz", "seed=one", "loader.batchsize=3", "+extra=1", "sead=2", "name=???"]
    with pytest.raises(ConfigError) as error:
        composer.compose(overrides)
    message = str(error.value)
    assert message.startswith("7 mistakes in the configuration, nothing was run:\n  ")
    for part in (
        "backbone = sasrek: unknown option; did you mean 'sasrec'?",
        f"season = xyz: unknown option; valid names: {', '.join(SEASONS)}; write season=[] for none",
        "seed = 'one': must be int",
        "loader.batchsize = 3: unknown key of seasonrec.batches.loader.LoaderOptions; did you mean 'batch_size'?",
        "extra = 1: unknown key",
        "sead = 2: unknown key, neither a value nor a group; did you mean 'seed'?",
        "name = ???",
    ):
        assert part in message


def test_multirun_checks_every_job(composer: Composer) -> None:
    assert composer.mistakes(["season=[],[text]", "seed=0,1"], multirun=True) == []
    found = composer.mistakes(["season=[],[texd]", "seed=0,x"], multirun=True)
    assert [str(mistake) for mistake in found] == [
        "season = texd: unknown option; did you mean 'text'?; write season=[] for none",
        "seed = 'x': must be int, got str; try seed=0",
    ]
    leftover = composer.mistakes(["habit=replenishment,none", "habit.hidden_dim=8"], multirun=True)
    assert [mistake.path for mistake in leftover] == ["habit.hidden_dim"]
    (swept,) = composer.mistakes(["run_dir=a,b"], multirun=True)
    assert swept.problem == "cannot take several values"
