import torch
from monai.engines import SupervisedTrainer
from torch.utils.data import DataLoader

from cxr_noise_transforms.study.training import ClipGradNorm


def gradient_norms(*handlers: ClipGradNorm) -> list[float]:
    """Norm of the gradients that the optimizer saw, one per step, of a real trainer."""
    torch.manual_seed(0)
    network = torch.nn.Linear(4, 1)
    batches = [{"image": 100 * torch.randn(4), "label": torch.zeros(1)} for _ in range(6)]
    norms = []

    class Recorder(torch.optim.SGD):
        def step(self) -> None:  # type: ignore[override]
            gradients = [p.grad for group in self.param_groups for p in group["params"]]
            norms.append(float(torch.cat([g.flatten() for g in gradients]).norm()))

    SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=DataLoader(batches, batch_size=2),
        network=network,
        optimizer=Recorder(network.parameters(), lr=0.1),
        loss_function=torch.nn.MSELoss(),
        decollate=False,
        train_handlers=list(handlers),
    ).run()
    return norms


def test_gradients_are_clipped_before_the_step() -> None:
    assert min(gradient_norms()) > 1
    assert all(abs(norm - 0.5) < 1e-4 for norm in gradient_norms(ClipGradNorm(0.5)))


def test_small_gradients_are_left_alone() -> None:
    assert gradient_norms(ClipGradNorm(1e9)) == gradient_norms()
