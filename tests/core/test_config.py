"""A policy as a file: what it says is what a model gets, and what is wrong in it is said all at once, line by line."""

import json
import math
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuppence import Message, Reply, Request, Usage
from tuppence.attempts import Verdict
from tuppence.cache import Audit, ExactCache, RedisSimilarStore, SemanticCache
from tuppence.cache.stores.audits import has_audits
from tuppence.checks import (
    And,
    NotEmpty,
    NotRefused,
    Or,
    SelfConfidence,
    agrees_with,
    default_check,
    judged_by,
)
from tuppence.config import Config, load_config
from tuppence.effects import Choice
from tuppence.errors import ConfigError, ScopeError
from tuppence.routes import Sticky, by_size, start_at, strongest

ROOT = Path(__file__).parents[2]

SMALL = "{name: small, class: openai, model: gpt-4o-mini}"
LARGE = "{name: large, class: anthropic, model: claude-sonnet-4-6}"
JUDGE = "{name: judge, class: openai, model: gpt-4.1, params: {temperature: 0}}"
TIERS = f"tiers:\n  - {SMALL}\n  - {LARGE}\n"

Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a configuration from text, in a folder where modules of a user's own can be found."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_rules.py").write_text(
        textwrap.dedent("""
            from tuppence.routes import only
            guard = only("large")
            number = 7
            def hours(request): return "nine to five"
            def choose(request, ladder): return "large"
            def short(request, reply): return len(reply.text) < 5
            def classify(request): return "public"
            def redact(text): return text.replace("4111", "****")
            def embedder():
                import numpy
                class Lengths:
                    name = "lengths"
                    def embed(self, texts): return numpy.ones((len(texts), 4), numpy.float32) / 2
                    async def aembed(self, texts): return self.embed(texts)
                return Lengths()
        """)
    )
    monkeypatch.delitem(sys.modules, "own_rules", raising=False)

    def loaded(text: str) -> Config:
        file = tmp_path / "tuppence.yaml"
        file.write_text(text, encoding="utf-8")
        return load_config(file)

    return loaded


def faults(load: Load, text: str) -> list[str]:
    """Return the lines that a faulty file gets, without their file's name."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    lines = [line.partition("tuppence.yaml:")[2] for line in str(caught.value).splitlines()]
    return [line for line in lines if line and not line.startswith(" has ")]


REQUEST = Request((Message("user", "hello"),))

# -- what a file says is what a model gets


def test_the_example_loads_and_is_a_whole_policy() -> None:
    """The file that people start from works, and its policy routes."""
    config = load_config(ROOT / "examples" / "tuppence.yaml")
    policy = config.policy()
    assert [t.name for t in policy.tiers] == ["small", "own", "large"]
    assert policy.version == "support-3"
    assert policy.max_usd_per_call == Decimal("0.05")
    assert policy.route is not None
    legal = Request((Message("user", "hello"),), tags={"task": "contract"})
    choice = policy.route(legal, policy.tiers)
    assert choice is not None
    assert [t.name for t in choice.ladder] == ["large"]
    kept = policy.guards[0](Request((Message("user", "x"),), tags={"data_class": "health"}), policy.tiers)
    assert kept is not None
    assert [t.name for t in kept.ladder] == ["own"]


def test_what_a_file_leaves_out_keeps_the_models_own_default(load: Load) -> None:
    """A file with nothing but tiers says nothing else."""
    assert load(TIERS).options() == {}


def test_a_tier_has_all_that_its_lines_say(load: Load) -> None:
    """Price, limits, abilities, prompt text and parameters arrive, numbers as written."""
    (spec,) = load(
        """
tiers:
  - name: own
    class: vllm
    model: Qwen/Qwen2.5-7B-Instruct
    base_url: http://localhost:8000/v1
    price: {input: 0.1, output: "0.30", batch: {input: 0.05, output: 0.15}}
    timeout_s: 12.5
    self_hosted: true
    capabilities: [tools, schema]
    context_tokens: 32768
    additions: {system: Be brief., examples: [{user: "2+2", assistant: "4"}]}
    params: {temperature: 0.2, max_tokens: 400, extra_body: {top_k: 5}}
"""
    ).tiers
    tier = spec.tier
    assert tier.rate is not None
    # A tenth of a dollar is one, though YAML's own floats know no tenth.
    assert tier.rate.cost(Usage(input=3_000_000)) == 300_000_000_000
    assert tier.rate.cost(Usage(output=1_000_000, processing="batch")) == 150_000_000_000
    assert (tier.timeout_s, tier.self_hosted, tier.context_tokens) == (12.5, True, 32768)
    assert tier.capabilities == {"tools", "schema"}
    assert tier.additions is not None
    assert (tier.additions.system, tier.additions.examples) == ("Be brief.", (("2+2", "4"),))
    assert spec.params == {"temperature": 0.2, "max_tokens": 400, "extra_body": {"top_k": 5}}
    assert type(spec.params["temperature"]) is float
    assert (spec.kind, spec.base_url) == ("vllm", "http://localhost:8000/v1")


def test_a_tier_may_be_priced_by_the_hour_or_declared_unpriced(load: Load) -> None:
    """An unpriced tier has no cost, which is not a cost of zero, and the list is not asked in its place."""
    hourly, unpriced = load(
        """
tiers:
  - {name: gpu, class: vllm, model: q, base_url: "http://h/v1", price: {usd_per_hour: 3.60}}
  - {name: new, class: openai, model: gpt-4o, price: unpriced}
"""
    ).tiers
    assert hourly.tier.rate is not None
    assert hourly.tier.rate.cost(Usage(input=1, gpu_ms=1000)) == 1_000_000_000
    assert unpriced.tier.rate is not None
    assert unpriced.tier.rate.cost(Usage(input=1)) is None


def test_a_function_tier_is_the_users_own_function(load: Load) -> None:
    """It is imported from where this program imports, and costs nothing."""
    function, _ = load(
        f"tiers:\n  - {{name: rules, class: function, function: 'own_rules:hours'}}\n  - {SMALL}\n"
    ).tiers
    assert function.tier.answer is not None
    assert function.tier.answer(REQUEST) == "nine to five"


def test_a_key_comes_from_the_environment_when_it_is_needed(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file holds a variable's name; without the variable the message says which, and where."""
    (spec,) = load("tiers:\n  - {name: a, class: openai, model: gpt-4o, api_key_env: TEAM_KEY}\n").tiers
    monkeypatch.setenv("TEAM_KEY", "sk-1")
    assert spec.api_key == "sk-1"
    monkeypatch.delenv("TEAM_KEY")
    with pytest.raises(ConfigError, match=r"tuppence.yaml:2: tier 'a' takes its key from TEAM_KEY, which is not set"):
        _ = spec.api_key


ROUTES = [
    ("start_at: large", start_at("large")),
    ("by_size", by_size()),
    ("{by_size: {small_words: 10, large_words: 20}}", by_size(small_words=10, large_words=20)),
    ("{first_of: [{start_at: small}, by_size]}", start_at("small") | by_size()),
    ("{within: [{start_at: small}, by_size]}", start_at("small") >> by_size()),
]


@pytest.mark.parametrize(("text", "route"), ROUTES)
def test_a_route_is_the_one_that_python_would_make(load: Load, text: str, route: object) -> None:
    """Names, parameters and composition mean what they mean in code."""
    written = text if text.startswith("{") or ":" not in text else f"{{{text}}}"
    assert load(f"{TIERS}route: {written}\n").options()["route"] == route


def test_routes_by_keyword_task_and_session_are_built(load: Load) -> None:
    """`strongest` is the last tier, whatever its name; a threshold belongs to its task."""
    route = load(
        TIERS
        + """
route:
  first_of:
    - by_keywords: {contract: large}
    - by_task: {classify: {start: small, threshold: 0.6}, legal: strongest}
    - sticky: {route: {by_complexity: {bands: [0.2, 0.6]}}, max_sessions: 50}
"""
    ).options()["route"]
    assert route.first.second.tasks["legal"] == strongest()
    assert route.first.second.tasks["classify"].threshold == 0.6
    assert isinstance(route.second, Sticky)
    assert route.names == {"large", "small"}


def test_a_route_and_a_check_of_the_users_own_are_called(load: Load) -> None:
    """A plain function becomes a route or check; one that is composable already stays itself."""
    config = load(f"{TIERS}route: {{custom: 'own_rules:choose'}}\ncheck: {{custom: 'own_rules:short'}}\n")
    options = config.options()
    choice = options["route"](REQUEST, tuple(spec.tier for spec in config.tiers))
    assert isinstance(choice, Choice)
    assert choice.ladder[0].name == "large"
    verdict = options["check"](REQUEST, Reply("much too long"))
    assert isinstance(verdict, Verdict)
    assert verdict.score == 0.0
    guards = load(f"{TIERS}guards: [{{custom: 'own_rules:guard'}}]\n").options()["guards"]
    assert guards[0].names == {"large"}


def test_a_guard_keeps_private_text_and_says_when_nobody_may_see_it(load: Load) -> None:
    """The classes are the file's own."""
    config = load(f"{TIERS}guards:\n  - data_class: {{private: [health], public: [faq]}}\n  - only: [large]\n")
    guard, only = config.policy().guards
    ladder = config.policy().tiers
    assert guard(Request((Message("user", "x"),), tags={"data_class": "faq"}), ladder) is None
    with pytest.raises(ScopeError, match="health"):
        guard(Request((Message("user", "x"),), tags={"data_class": "health"}), ladder)
    kept = only(REQUEST, ladder)
    assert kept is not None
    assert [t.name for t in kept.ladder] == ["large"]


CHECKS = [
    ("default", default_check()),
    ("not_empty", NotEmpty()),
    ("{all: [not_empty, not_refused]}", And(NotEmpty(), NotRefused())),
    ("{any: [not_empty, not_refused]}", Or(NotEmpty(), NotRefused())),
    ("{self_confidence: {field: sure, out_of: 10}}", SelfConfidence("sure", 10.0)),
]


@pytest.mark.parametrize(("text", "check"), CHECKS)
def test_a_check_is_the_one_that_python_would_make(load: Load, text: str, check: object) -> None:
    """Names, parameters and composition mean what they mean in code."""
    assert load(f"{TIERS}check: {text}\n").options()["check"] == check


def test_a_check_names_tiers_and_judges(load: Load) -> None:
    """Judges are described like tiers, and stay off the ladder."""
    config = load(
        f"{TIERS}judges: [{JUDGE}]\ncheck: {{all: [{{judged_by: {{tier: judge}}}}, {{agrees_with: small}}]}}\n"
    )
    check = config.options()["check"]
    assert check == And(judged_by("judge"), agrees_with("small"))
    (judge,) = config.judges
    assert (judge.tier.name, judge.tier.model, judge.params) == ("judge", "gpt-4.1", {"temperature": 0})
    assert judge.tier.rate is not None and judge.where.endswith("tuppence.yaml:4")
    policy = config.policy()
    assert [t.name for t in policy.tiers] == ["small", "large"]
    assert policy.judges == (judge.tier,) and policy.strongest.name == "large"


def test_a_judge_has_settings_of_its_own(load: Load) -> None:
    """The rubric and the parameters of its request are the check's."""
    text = f"{TIERS}check: {{judged_by: {{tier: large, rubric: short, params: {{temperature: 0}}}}}}\n"
    assert load(text).options()["check"] == judged_by("large", rubric="short", params={"temperature": 0})


def test_a_schema_may_stand_in_the_file(load: Load) -> None:
    """Its numbers are numbers again."""
    text = "check: {matches_schema: {json_schema: {type: object, properties: {p: {maximum: 0.5}}}}}\n"
    check = load(TIERS + text).options()["check"]
    assert check(REQUEST, Reply('{"p": 0.4}')).score == 1.0
    assert check(REQUEST, Reply('{"p": 0.6}')).score == 0.0


def test_yaml_words_for_off_switch_off_and_are_not_false(load: Load) -> None:
    """YAML 1.1 reads `off` as false, which would be no mode at all."""
    options = load(f"{TIERS}mode: off\ncheck: off\ncache: off\nledger: off\n").options()
    assert options == {"mode": "off", "check": None, "cache": None, "ledger": False}


def test_a_cache_and_a_ledger_lie_beside_the_file(load: Load, tmp_path: Path) -> None:
    """A relative path does not depend on where the program was started."""
    options = load(f"{TIERS}cache: {{store: kept/answers.sqlite, ttl_s: 60}}\nledger: spend.sqlite\n").options()
    assert isinstance(options["cache"], ExactCache)
    assert options["cache"].ttl_s == 60
    assert (tmp_path / "kept" / "answers.sqlite").exists()
    assert options["ledger"] == tmp_path / "spend.sqlite"
    options["cache"].close()


def test_retries_and_limits_are_taken_over(load: Load) -> None:
    """A bare number is retries of the same tier; dollars stay exact however they are written."""
    options = load(f"{TIERS}retries: 3\nmax_usd_per_call: 0.1\nthreshold: 0.75\non_exhausted: error\n").options()
    assert options["retries"].per_tier == 3
    assert options["max_usd_per_call"] == Decimal("0.1")
    assert (options["threshold"], options["on_exhausted"]) == (0.75, "error")


def test_anchors_and_merges_say_things_once(load: Load) -> None:
    """A tier's own key wins over a merged one."""
    first, second = load(
        """
tiers:
  - &base {name: a, class: openai, model: gpt-4o, timeout_s: 5}
  - <<: *base
    name: b
"""
    ).tiers
    assert (first.tier.name, second.tier.name, second.tier.timeout_s) == ("a", "b", 5.0)


def test_a_cache_may_lie_in_a_redis(load: Load) -> None:
    """An address is no path; where nothing is said, how much Redis keeps is its own to bound."""
    options = load(f"{TIERS}cache: {{store: 'redis://127.0.0.1:1', ttl_s: 60, max_entries: 5}}\n").options()
    assert isinstance(options["cache"], ExactCache)
    assert options["cache"].ttl_s == 60
    with pytest.raises(ConfigError, match="max_share_per_tenant is a part of max_entries or max_bytes"):
        load(f"{TIERS}cache: {{store: 'redis://127.0.0.1:1', max_share_per_tenant: 0.5}}\n").options()


@pytest.mark.parametrize(
    "said", ["semantic", "semantic:kept.sqlite", "{store: kept.sqlite, semantic: true}", "{semantic: }"]
)
def test_a_cache_may_be_semantic_in_one_word(load: Load, tmp_path: Path, said: str) -> None:
    """In memory or in a file beside the configuration, which exact and similar entries share."""
    cache = load(f"{TIERS}cache: {said}\n").options()["cache"]
    assert isinstance(cache, SemanticCache)
    assert cache.calibration is None
    assert (tmp_path / "kept.sqlite").exists() == ("kept" in said)
    cache.close()


def test_a_semantic_cache_says_all_that_it_can(load: Load, tmp_path: Path) -> None:
    """A learned threshold has its audits in the cache's own file, questions too where the file says so."""
    cache = load(
        f"""{TIERS}cache:
  store: kept.sqlite
  ttl_s: 60
  max_entries: 500
  require_tenant: true
  semantic: {{max_wrong_share: 0.01, delta: 0.1, audit_share: 0.2, examples: true, verified_by: large}}
"""
    ).options()["cache"]
    learned = cache.calibration
    assert (learned.max_wrong_share, learned.delta, learned.audit_share) == (0.01, 0.1, 0.2)
    assert (cache.ttl_s, cache.require_tenant, cache.verified_by) == (60, True, "large")
    learned.add(Audit("[]", 0.9, False, 1.0, "asked", "served"))
    assert has_audits(tmp_path / "kept.sqlite")
    assert learned.audits()[0].question == "asked"
    cache.close()


def test_a_semantic_cache_takes_a_threshold_an_embedder_and_a_redaction(load: Load) -> None:
    """Functions of the user's own, as module:name."""
    cache = load(
        f"{TIERS}cache: {{semantic: {{threshold: 0.97, embedder: 'own_rules:embedder', redact: 'own_rules:redact'}}}}\n"
    ).options()["cache"]
    assert cache.threshold("") == 0.97
    request = Request((Message("user", "Is this the number, 4111?"),))
    assert cache.subject(request, "key", "scope").question == "Is this the number, ****?"
    cache.close()


def test_a_semantic_cache_may_lie_in_a_redis(load: Load) -> None:
    """One that is away stops no program: until its audits can be read nothing is served."""
    text = f"{TIERS}cache: {{store: 'redis://127.0.0.1:1', semantic: {{max_wrong_share: 0.02}}}}\n"
    cache = load(text).options()["cache"]
    assert isinstance(cache.similar, RedisSimilarStore)
    assert cache.threshold("") == math.inf
    cache.close()


# -- what is wrong is said, with its place and its fix

FAULTY = [
    # (text after the tiers, which are lines 1 to 3; what is said)
    ("treshold: 0.5", "4:1: unknown key 'treshold': did you mean 'threshold'?"),
    ("threshold: 1.5", "4:12: threshold is 1.5: it should be less than or equal to 1"),
    ("threshold: true", "4:12: threshold is True: give a number"),
    ("mode: optimize", "4:7: mode is 'optimize': did you mean 'optimise'? it is one of optimise, observe, off"),
    ("max_usd_per_call: 0", "4:19: max_usd_per_call is 0: it should be greater than 0"),
    ("cache: {ttl_s: -1}", "4:16: cache.ttl_s is -1: it should be greater than 0"),
    ("cache: {semantic: {treshold: 1}}", "4:20: unknown key 'treshold' in cache.semantic: did you mean 'threshold'?"),
    ("cache: {semantic: {threshold: 0}}", "4:31: cache.semantic.threshold is 0: it should be greater than 0"),
    ("cache: {semantic: {max_wrong_share: 1}}", "4:37: cache.semantic.max_wrong_share is 1: it should be less than 1"),
    (
        "cache: {semantic: {threshold: 1, delta: 0.1, max_wrong_share: 0.1}}",
        "4:19: cache.semantic is {'threshold': 1, 'delta': Decimal('0.1'), 'max_wrong_shar...: threshold is fixed and",
    ),
    (
        "cache: {semantic: {audit_share: 0.1}}",
        "4:19: cache.semantic is {'audit_share': Decimal('0.1')}: audit_share needs audits, which only max_wrong_share",
    ),
    (
        "cache: {semantic: {verified_by: larg}}",
        "4:33: cache.semantic.verified_by names tier 'larg', which there is not: did you mean 'large'?",
    ),
    (
        "cache: {semantic: {embedder: 'own_rules:embeder'}}",
        "4:30: cache.semantic.embedder is 'own_rules:embeder': own_rules has no 'embeder': did you mean 'embedder'?",
    ),
    ("cache: {store: off, semantic: true}", "4:8: cache is {'store': 'off', 'semantic': True}: store is off, so"),
    ("retries: {max_attempts: 0}", "4:25: retries.max_attempts is 0: it should be greater than 0"),
    ("mode: off\nmode: observe", "5:1: 'mode' stands twice (first in line 4): keep one"),
    ("route: by_sise", "4:8: unknown key 'by_sise' in route: did you mean 'by_size'?"),
    ("route: {start_at: smal}", "4:19: route.start_at names tier 'smal', which there is not: did you mean 'small'?"),
    ("route: {by_task: {a: mini}}", "4:22: route.by_task.a.start names tier 'mini', which there is not: there are"),
    ("route: {by_keywords: {law: big}}", "4:28: route.by_keywords.law names tier 'big', which there is not"),
    (
        "route: {by_size: , start_at: small}",
        "4:8: route is {'by_size': None, 'start_at': 'small'}: a route has one name",
    ),
    ("route: {by_size: {small_words: 9, large_words: 3}}", "4:18: route.by_size: small_words is 9"),
    ("route: {custom: 'own_rules:guard'}", "4:8: the route holds a guard"),
    (
        "route: {custom: 'own_rules:chose'}",
        "4:17: route.custom is 'own_rules:chose': own_rules has no 'chose': did you",
    ),
    ("route: {custom: 'own_rules:number'}", "4:17: route.custom is 'own_rules:number', which is no function but int"),
    ("route: {custom: no_rules:x}", "4:17: route.custom is 'no_rules:x': no_rules cannot be imported"),
    ("route: {custom: choose}", "4:17: route.custom is 'choose': give a Python object as 'module:name'"),
    ("check: {all: [{judged_by: {tier: judge}}]}", "4:34: check.all[0].judged_by.tier names tier 'judge'"),
    (
        f"judges: [{JUDGE}]\ncheck: {{judged_by: juge}}",
        "5:20: check.judged_by.tier names tier 'juge', which there is not: did you mean 'judge'? there are small,",
    ),
    (
        f"judges: [{JUDGE}]\ncheck: {{agrees_with: lage}}",
        "5:22: check.agrees_with names tier 'lage', which there is not",
    ),
    (
        f"judges: [{JUDGE}]\nroute: {{start_at: judge}}",
        "5:19: route.start_at names 'judge', a judge, which never answers: name one of small, large, or make it a tier",
    ),
    (f"judges: [{SMALL}]", "4:17: two tiers or judges are called 'small' (first in line 2): rename one"),
    ("judges: [{name: j, class: openai, model: gpt-5-nan}]", "4:42: tier 'j': no price is known for model 'gpt-5-nan'"),
    ("judges: [{name: j, class: openai}]", "4:10: judges[0] ('j') has class openai and no model: add it"),
    (
        "judges: [{name: j, class: openai, model: gpt-4o, timout_s: 3}]\ncheck: {judged_by: j}",
        "4:50: unknown key 'timout_s' in judges[0]: did you mean 'timeout_s'?",
    ),
    ("judges: [{name: j, class: opnai, model: m}]\ncheck: {judged_by: j}", "4:27: judges[0].class is 'opnai': did you"),
    ("check: {all: []}", "4:14: check.all is []: list should have at least 1 item"),
    ("check: {matches_schema: {json_schema: {type: 5}}}", "4:25: check.matches_schema: not a JSON schema"),
    ("guards: [{only: [none]}]", "4:18: guards[0].only[0] names tier 'none', which there is not"),
    ("guards: [{data_class: {private: [a], public: [a]}}]", "4:23: guards[0].data_class: ['a'] is both"),
    ("retries: 1.5", "4:10: retries.per_tier is 1.5: it should be a valid integer"),
    ("version: !!int one", "4:10: 'one' is tagged as a number and is none"),
    ("? [a]\n: 1", "1:1: line 4 has a list or mapping as a key"),
    ("version: [1]", "4:10: version is [1]: it should be a valid string"),
]


@pytest.mark.parametrize(("text", "said"), FAULTY, ids=[text for text, _ in FAULTY])
def test_a_fault_is_one_line_with_its_place_its_value_and_its_fix(load: Load, text: str, said: str) -> None:
    """An editor can jump there, and a person knows what to do."""
    (line,) = faults(load, f"{TIERS}{text}\n")
    assert line.startswith(said)


FAULTY_TIERS = [
    ("{name: a, class: openai, model: gpt-4o-mni}", ("2:37: tier 'a': no price is known for model 'gpt-4o-mni' of "
     "provider 'openai': did you mean 'gpt-4o-mini'? Else add price:")),
    ("{name: a, class: vllm, model: gpt-4o, base_url: 'http://h/v1'}", ("2:35: tier 'a': no price is known for model "
     "'gpt-4o' of class vllm without a provider: add price:")),
    ("{name: a, class: vllm, model: q, price: unpriced}", "2:5: tiers[0] ('a') has class vllm and no base_url: add it"),
    ("{name: a, class: openai}", "2:5: tiers[0] ('a') has class openai and no model: add it"),
    ("{name: a, class: opena, model: gpt-4o}", "2:22: tiers[0].class is 'opena': did you mean 'openai'?"),
    ("{class: openai, model: gpt-4o}", "2:5: tiers[0].name is missing: add it"),
    ("{name: a, class: openai, model: gpt-4o, api_key: sk-1}", ("2:45: unknown key 'api_key' in tiers[0]: did you mean "
     "'api_key_env'?")),
    ("{name: a, class: openai, model: gpt-4o, api_key_env: 'sk-proj-1'}", ("2:58: tiers[0].api_key_env is 'sk-proj-1': "
     "give the name of an environment variable, never the key itself")),
    ("{name: a, class: openai, model: gpt-4o, params: {api_key: x}}", "2:63: tiers[0].params.api_key cannot be set"),
    ("{name: a, class: openai, model: gpt-4o, function: 'm:f'}", "2:55: tiers[0].function means nothing for class"),
    ("{name: a, class: openai, model: gpt-4o, price: {input: 1}}", ("2:52: tiers[0].price is {'input': 1}: give input "
     "and output in dollars per million tokens, usd_per_hour, or the word unpriced")),
    ("{name: a, class: openai, model: gpt-4o, price: {input: -1, output: 1}}", "2:60: tiers[0].price.input is -1: it"),
    ("{name: a, class: openai, model: gpt-4o, price: {input: 1e-12, output: 1}}", "2:52: tiers[0].price: price gpt-4o"),
    ("{name: a, class: openai, model: gpt-4o, price: cheap}", "2:52: tiers[0].price is 'cheap': give a mapping"),
    ("{name: a, class: openai, model: gpt-4o, capabilities: [sight]}", "2:60: tiers[0].capabilities[0] is 'sight'"),
    ("{name: cache, class: openai, model: gpt-4o}", "2:12: tiers[0].name is 'cache', a word of tuppence's own"),
    ("{name: a, class: openai, model: gpt-4o, timeout_s: 0}", "2:56: tiers[0].timeout_s is 0: it should be greater"),
    ("small", "2:5: tiers[0] is 'small': give a mapping (keys and values)"),
]  # fmt: skip


@pytest.mark.parametrize(("tier", "said"), FAULTY_TIERS, ids=[tier for tier, _ in FAULTY_TIERS])
def test_a_faulty_tier_is_named_with_its_place(load: Load, tier: str, said: str) -> None:
    """A model without a price is an error here: nobody reads a warning at start-up."""
    (line,) = faults(load, f"tiers:\n  - {tier}\n")
    assert line.startswith(said)


def test_a_guard_may_name_a_judge(load: Load) -> None:
    """`only` keeps the judge out unless it is named."""
    policy = load(f"{TIERS}judges: [{JUDGE}]\nguards: [{{only: [small, judge]}}]\n").policy()
    assert policy.guards[0].names == {"small", "judge"}  # type: ignore[attr-defined]


def test_two_tiers_of_one_name_are_refused(load: Load) -> None:
    """Both lines are told."""
    assert faults(load, f"tiers:\n  - {SMALL}\n  - {SMALL}\n") == [
        "3:12: two tiers or judges are called 'small' (first in line 2): rename one"
    ]


def test_everything_wrong_is_listed_at_once_in_the_order_of_the_file(load: Load) -> None:
    """Shapes, names and prices alike; what only follows from another fault is left out."""
    lines = faults(
        load,
        """mode: optimize
tiers:
  - {name: a, class: openai, model: gpt-4o, price: {input: 1}}
  - {name: b, class: openai, model: gpt-4o-mni}
  - {name: c, class: openai, model: gpt-4o, color: red}
route: {start_at: d}
thresold: 2
""",
    )
    assert [line.partition(": ")[0] for line in lines] == ["1:7", "3:52", "4:37", "5:45", "6:19", "7:1"]


MALFORMED = [
    ("tiers: [", "1:9: not YAML (while parsing a flow node"),
    ("tiers:\n\t- x", "2:1: not YAML (while scanning for the next token, found character '\\t'"),
    ("a: 1\n b: 2", "2:3: not YAML ("),
    ("a: !!python/object/apply:os.system [echo]", "1:4: tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
    ("a: *nowhere", "1:4: not YAML (found undefined alias 'nowhere')"),
    ("a: 1\n---\nb: 2", "2:1: not YAML (expected a single document in the stream, but found another document)"),
    ("x: &x [*x]", "1: more than 20000 values"),
]


@pytest.mark.parametrize(("text", "said"), MALFORMED, ids=[text for text, _ in MALFORMED])
def test_what_is_not_yaml_is_told_with_its_line(load: Load, text: str, said: str) -> None:
    """No tag makes an object, no alias runs for ever, no traceback reaches a user."""
    assert any(line.startswith(said) for line in faults(load, text))


def test_no_tag_of_a_file_is_ever_executed(load: Load, tmp_path: Path) -> None:
    """A configuration is data."""
    proof = tmp_path / "proof"
    with pytest.raises(ConfigError):
        load(f"{TIERS}version: !!python/object/apply:pathlib.Path.touch [{proof}]\n")
    assert not proof.exists()


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b"\xff\xfe\x00a", "not UTF-8"), (b"a\x00b", "not YAML")]
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """Empty, another encoding, binary: each is told apart."""
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        load_config(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The path as it was given, and no traceback of the file system's."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml cannot be read \(No such file or directory\)"):
        load_config(tmp_path / "nowhere.yaml")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["tiers", "name", "class", "model", "price", "route", "check", "all", "by_task", "x"]),
        inner, max_size=4)))  # fmt: skip
def test_whatever_a_file_holds_the_only_error_is_ours(load: Load, data: object) -> None:
    """No data makes anything but a configuration or a `ConfigError`."""
    with suppress(ConfigError):
        load(json.dumps(data))


def test_importing_tuppence_loads_neither_pydantic_nor_yaml() -> None:
    """A program that has no configuration file does not pay for one."""
    code = "import sys, tuppence, tuppence.flow; print({'pydantic', 'yaml', 'tuppence.config'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
