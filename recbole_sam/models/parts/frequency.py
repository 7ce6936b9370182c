"""Splitting sequences into a slow and a fast part."""

import torch


def split_frequencies(x, cutoff):
    """Splits sequences along time into their lowest frequencies and the rest (BSARec, frequency
    rescaler).

    The real FFT's bins 0 .. cutoff // 2 are the low part. A cutoff of 2 * T or more keeps them all.

    Args:
        x (torch.FloatTensor): sequences, shape [B, T, d].
        cutoff (int): how much of the spectrum is low, c in the paper, at least 0.

    Returns:
        tuple of torch.FloatTensor: the low part and the high part, each [B, T, d]; their sum is
        ``x``.
    """
    spectrum = torch.fft.rfft(x, dim=1, norm="ortho")
    kept = spectrum[:, : cutoff // 2 + 1]
    # irfft fills the bins that are missing with zeros: a low-pass filter.
    low = torch.fft.irfft(kept, n=x.size(1), dim=1, norm="ortho")
    return low, x - low


def rescale_details(x, weight):
    """Rescales the difference of each pair of neighbours, the detail of a Haar wavelet (WEARec, wavelet
    feature enhancement).

    A pair (a, b) becomes (m + w e, m - w e), with its mean m = (a + b) / 2 and detail e = (a - b) / 2.

    Args:
        x (torch.FloatTensor): sequences, shape [..., W, d], W even.
        weight (torch.FloatTensor): w, broadcastable to [..., W / 2, d].

    Returns:
        torch.FloatTensor: shape [..., W, d].
    """
    first, second = x[..., 0::2, :], x[..., 1::2, :]
    mean, detail = (first + second) / 2, (first - second) / 2 * weight
    return torch.stack((mean + detail, mean - detail), dim=-2).flatten(-3, -2)
