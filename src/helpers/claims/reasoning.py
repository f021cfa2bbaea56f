"""Claims of section 5.1 about reasoning models and about emotion, with Table B5."""

from helpers.claims.cells import Run
from helpers.claims.common import SAME_SIZE, accuracy_lead, best, extra_datasets, gap_of_marks, least
from helpers.claims.evidence import Evidence
from helpers.claims.noise import at_least_half, noise, noise_of_pairs, too_little
from helpers.claims.registry import Recomputed, claim, reading, recomputed
from helpers.claims.values import NOISE, Value, largest, mean, not_positive, positive, smallest
from helpers.claims.wording import LLM, OTHER, REASONING, accuracy, dataset_title, energy, names, number
from helpers.study.catalogue import model_title


@claim("deepseek-not-best-in-most-cases")
def deepseek_rarely_best(evidence: Evidence) -> Recomputed:
    """Return the share of datasets where a reasoning LLM is ahead of the best LLM without reasoning."""
    leaders = _leaders(evidence)
    margins = {dataset: one.accuracy() - other.accuracy() for dataset, (one, other) in leaders.items()}
    ahead = [dataset for dataset, margin in margins.items() if margin.value > NOISE]
    return recomputed(
        positive(list(margins.values())) / len(margins),
        f"a reasoning LLM is ahead on {len(ahead)} of {len(margins)} datasets: {names(map(dataset_title, ahead))}",
        noise_of_pairs([leaders[dataset] for dataset in ahead]),
    )


@reading("deepseek-not-best-in-most-pairs")
def deepseek_rarely_best_of_all(evidence: Evidence) -> Recomputed:
    """Return the share of reasoning LLMs and datasets in which the best LLM without reasoning is behind."""
    margins, ahead = [], []
    for dataset in extra_datasets(evidence, (REASONING,), (OTHER,)):
        rival = _best_of(evidence, dataset, OTHER)
        for run in evidence.models(dataset, (REASONING,)):
            margins.append(run.accuracy() - rival.accuracy())
            if margins[-1].value > NOISE:
                ahead.append((run, rival))
    named = names(f"{run.title} on {dataset_title(str(run.row['dataset']))}" for run, _ in ahead)
    return recomputed(
        positive(margins) / len(margins),
        f"a reasoning LLM is ahead of the best other one in {len(ahead)} of {len(margins)} cases: {named}",
        noise_of_pairs(ahead),
    )


@claim("deepseek-best-only-on-emotion")
def deepseek_best_elsewhere(evidence: Evidence) -> Recomputed:
    """Count the datasets but emotion where a reasoning LLM is ahead, and emotion where it is not."""
    leaders = _leaders(evidence)
    margins = {dataset: one.accuracy() - other.accuracy() for dataset, (one, other) in leaders.items()}
    own, rival = evidence.model("ds-llama-70b", "emotion"), _best_of(evidence, "emotion", OTHER)
    emotion = own.accuracy() - rival.accuracy()
    others = [margin for dataset, margin in margins.items() if dataset != "emotion"]
    ahead = [dataset_title(dataset) for dataset, margin in margins.items() if margin.value > NOISE]
    return recomputed(
        positive(others) + not_positive([emotion]),
        f"a reasoning LLM is ahead on {names(ahead)}; on emotion, {own.title} is {_lead(emotion.value)} {rival.title}",
        noise(own, rival),
    )


@claim("emotion-ds-llama-slightly-ahead")
def emotion_lead(evidence: Evidence) -> Recomputed:
    """Return how far DS Llama 70B is ahead of the best LLM without reasoning on emotion."""
    own, other = evidence.model("ds-llama-70b", "emotion"), _best_of(evidence, "emotion", OTHER)
    finer = gap_of_marks(own, other, "figure_7")
    return recomputed(
        own.accuracy() - other.accuracy(),
        f"{own.title} {accuracy(own.accuracy().value)}, {other.title} {accuracy(other.accuracy().value)}{finer}",
        noise(own, other),
    )


@claim("emotion-phi-moe-best-without-reasoning")
def emotion_best_other(evidence: Evidence) -> Recomputed:
    """Return how far Phi 3.5 MoE is ahead of the other LLMs without reasoning on emotion."""
    own = evidence.model("phi-3.5-moe", "emotion")
    rest = [run for run in evidence.models("emotion", (OTHER,)) if run.model != own.model]
    return accuracy_lead(own, rest)


@claim("emotion-linear-embedding-among-best")
def emotion_linear(evidence: Evidence) -> Recomputed:
    """Return how far Linear Embedding is behind the best LLM on emotion."""
    own, top = evidence.model("linear-embedding", "emotion"), best(evidence.models("emotion", LLM))
    return recomputed(
        top.accuracy() - own.accuracy(),
        f"{top.title} {accuracy(top.accuracy().value)}, Linear Embedding {accuracy(own.accuracy().value)}",
        noise(top, own),
    )


@reading("emotion-linear-embedding-among-highest-scores")
def emotion_linear_rank(evidence: Evidence) -> Recomputed:
    """Return the place of Linear Embedding among the different accuracies on emotion; as accurate shares a place."""
    own = evidence.model("linear-embedding", "emotion").accuracy().value
    runs = evidence.models("emotion")
    evidence.models("emotion", LLM)
    ahead = [run for run in runs if run.accuracy().value > own + NOISE]
    scores = sorted({round(run.accuracy().value, 3) for run in ahead}, reverse=True)
    scores_listed = names(map(accuracy, scores))
    return recomputed(
        Value.exact(len(scores) + 1),
        f"{len(ahead)} of {len(runs)} models are ahead of its {accuracy(own)}, at accuracies of {scores_listed}",
    )


@claim("emotion-traditional-model-most-efficient")
def emotion_efficient(evidence: Evidence) -> Recomputed:
    """Divide the least energy of a model at least as accurate as Linear Embedding by its own (emotion)."""
    own = evidence.model("linear-embedding", "emotion")
    evidence.models("emotion", LLM)
    rest = [
        run
        for run in evidence.models("emotion")
        if run.model != own.model and run.accuracy().value >= own.accuracy().value - NOISE
    ]
    next_one = least(rest)
    return recomputed(
        smallest([run.energy() for run in rest]) / own.energy(),
        f"Linear Embedding {energy(own.energy().value)}; the least of {len(rest)} models as accurate is {next_one.title}, "
        f"{energy(next_one.energy().value)}{too_little(evidence, own)}",
    )


@claim("reasoning-has-no-benefit")
def reasoning_benefit(evidence: Evidence) -> Recomputed:
    """Count the datasets and sizes where a reasoning LLM is more accurate than Llama 3.1 of its size."""
    pairs = [pair for pairs_of_model in _same_size(evidence).values() for pair in pairs_of_model]
    ahead = [pair for pair in pairs if pair[0].accuracy().value > pair[1].accuracy().value + NOISE]
    leads_listed = [
        f"{one.title} on {dataset_title(str(one.row['dataset']))} {accuracy(one.accuracy().value)} to "
        f"{accuracy(other.accuracy().value)}"
        for one, other in ahead
    ]
    return recomputed(
        positive([one.accuracy() - other.accuracy() for one, other in pairs]),
        f"the reasoning model is ahead of Llama 3.1 of its size in {len(ahead)} of {len(pairs)} cases: {names(leads_listed, 5)}",
        noise_of_pairs(ahead, at_least_half),
    )


@reading("reasoning-has-no-benefit-in-the-mean")
def reasoning_benefit_in_mean(evidence: Evidence) -> Recomputed:
    """Return the larger of the mean gaps, over the datasets, between a reasoning LLM and Llama 3.1 of its size."""
    gaps = {
        model_title(model): mean([one.accuracy() - other.accuracy() for one, other in pairs])
        for model, pairs in _same_size(evidence).items()
    }
    gaps_listed = ", ".join(f"{title} {gap.value:+.3f}" for title, gap in gaps.items())
    return recomputed(
        largest(list(gaps.values())),
        f"mean gaps to Llama 3.1 of the same size over the datasets: {gaps_listed}",
    )


@reading("reasoning-ahead-of-the-best-other")
def reasoning_ahead(evidence: Evidence) -> Recomputed:
    """Return the share of all datasets where a reasoning LLM is ahead of the best LLM without reasoning."""
    leaders = {
        dataset: (_best_of(evidence, dataset, REASONING), _best_of(evidence, dataset, OTHER))
        for dataset in evidence.datasets((REASONING,), (OTHER,))
    }
    margins = [one.accuracy() - other.accuracy() for one, other in leaders.values()]
    ahead = [
        name for name, (one, other) in leaders.items() if (one.accuracy() - other.accuracy()).value > NOISE
    ]
    return recomputed(
        positive(margins) / len(margins),
        f"a reasoning LLM is ahead of the best other one on {len(ahead)} of {len(leaders)} datasets: "
        f"{names(map(dataset_title, ahead))}",
        noise_of_pairs([leaders[dataset] for dataset in ahead]),
    )


def _same_size(evidence: Evidence) -> dict[str, list[tuple[Run, Run]]]:
    """Return each reasoning LLM beside Llama 3.1 of its size, by its name, on every dataset."""
    datasets = evidence.datasets((REASONING,), (OTHER,))
    return {
        more: [(evidence.model(more, dataset), evidence.model(less, dataset)) for dataset in datasets]
        for more, less in SAME_SIZE
    }


def _leaders(evidence: Evidence) -> dict[str, tuple[Run, Run]]:
    """Return the best reasoning LLM and the best other one, by dataset but FKTG."""
    return {
        dataset: (_best_of(evidence, dataset, REASONING), _best_of(evidence, dataset, OTHER))
        for dataset in extra_datasets(evidence, (REASONING,), (OTHER,))
    }


def _lead(margin: float) -> str:
    if abs(margin) <= NOISE:
        return "level with"
    return f"{number(abs(margin))} {'ahead of' if margin > 0 else 'behind'}"


def _best_of(evidence: Evidence, dataset: str, family: str) -> Run:
    return best(evidence.models(dataset, (family,)))
