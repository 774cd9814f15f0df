import torch
import torch.nn as nn
import torch.nn.functional as F
from collections import OrderedDict

torch.manual_seed(7)
net = nn.Sequential(
    OrderedDict(
        [
            (
                "features",
                nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.ReLU()),
            ),
            ("pool", nn.AdaptiveAvgPool2d(2)),
            ("flat", nn.Flatten()),
            ("head", nn.Linear(32, 3)),
        ]
    )
).eval()
acts, grads = {}, {}


def fwd_hook(name):
    def hook(module, args, output):
        acts[name] = output.detach()
        output.register_hook(lambda g: grads.__setitem__(name, g.clone()))

    return hook


handles = [
    net.features[3].register_forward_hook(fwd_hook("conv2")),
    net.get_submodule("features.0").register_forward_hook(fwd_hook("conv1")),
]
img = torch.randn(1, 1, 8, 8, requires_grad=True)
out = net(img)
cls = out.argmax(1).item()
out[0, cls].backward()
w = grads["conv2"].mean(dim=(2, 3), keepdim=True)
cam = F.relu((w * acts["conv2"]).sum(1, keepdim=True))
cam = F.interpolate(cam, size=(8, 8), mode="bilinear", align_corners=False)
cam = (cam - cam.min()) / (cam.max() - cam.min() + 1e-8)
print(cls, out, cam[0, 0, ::3])
for h in handles:
    h.remove()
print(len(net.features[3]._forward_hooks), acts.keys())
# saliency, integrated gradients, FGSM, PGD
saliency = img.grad.abs().amax(1)
print(saliency.sum())
base = torch.zeros_like(img)
total = 0
for a in torch.linspace(0, 1, 11)[1:]:
    p = (base + a * (img.detach() - base)).requires_grad_()
    net(p)[0, cls].backward()
    total = total + p.grad
ig = (img.detach() - base) * total / 10
print(ig.sum(), net(img)[0, cls] - net(base)[0, cls])


def fgsm_attack(image, epsilon, data_grad):
    return torch.clamp(image + epsilon * data_grad.sign(), -3, 3)


for eps in [0, 0.05, 0.1, 0.2]:
    x = img.detach().clone().requires_grad_(True)
    loss = F.nll_loss(F.log_softmax(net(x), 1), torch.tensor([cls]))
    net.zero_grad()
    loss.backward()
    adv = fgsm_attack(x, eps, x.grad.data)
    print("Epsilon: {}\tloss = {:.5f} -> {:.5f}".format(eps, loss, F.cross_entropy(net(adv), torch.tensor([cls]))))
adv = img.detach().clone()
for _ in range(5):
    adv.requires_grad_(True)
    (g,) = torch.autograd.grad(F.cross_entropy(net(adv), torch.tensor([cls])), adv)
    with torch.no_grad():
        adv = adv + 0.03 * g.sign()
        adv = torch.max(torch.min(adv, img + 0.1), img - 0.1)
print((adv - img).abs().max(), net(adv))
# every kind of hook
log = []
m = nn.Linear(2, 2)
h1 = m.register_forward_pre_hook(lambda mod, args: (args[0] * 2,))
h2 = m.register_full_backward_hook(lambda mod, gi, go: log.append(("full", gi[0], go[0])))
h3 = m.register_full_backward_pre_hook(lambda mod, go: (go[0] * 3,))
h4 = m.register_forward_hook(lambda mod, args, kwargs, out: out + 1, with_kwargs=True)
h5 = m.weight.register_hook(lambda g: g * 10)
h6 = m.weight.register_post_accumulate_grad_hook(lambda p: log.append(("acc", p.grad.clone())))
x = torch.ones(1, 2, requires_grad=True)
m(x).sum().backward()
for item in log:
    print(*item)
print(x.grad, m.weight.grad)
h4.remove()
print(m(torch.ones(1, 2)))
