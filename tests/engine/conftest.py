"""How a kernel is run."""

import torch


def run_kernel(kernel, embedding, logit_grad, block):
    """Logits and gradient of the embeddings, in blocks of rows; parameters get their gradients."""
    kernel.start()
    parts = []
    for rows, grad in zip(embedding.split(block), logit_grad.split(block), strict=True):
        logit = kernel.forward(rows, training=True).clone()
        kernel.backward(grad, out=(embedding_grad := torch.empty_like(rows)))
        parts.append((logit, embedding_grad))
    kernel.store_gradients([])
    return [*map(torch.cat, zip(*parts, strict=True))]
