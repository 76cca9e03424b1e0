"""DeepFM of FuxiCTR's layers, as in FuxiCTR's model zoo, which its package on PyPI lacks."""

from fuxictr.pytorch.layers import FactorizationMachine, FeatureEmbedding, MLP_Block
from fuxictr.pytorch.models import BaseModel


class DeepFM(BaseModel):
    def __init__(self, feature_map, hidden=(64, 32), lr=1e-3, **settings):
        super().__init__(feature_map, **settings)
        self.embedding_layer = FeatureEmbedding(feature_map, feature_map.default_emb_dim)
        self.fm = FactorizationMachine(feature_map)
        self.mlp = MLP_Block(feature_map.sum_emb_out_dim(), output_dim=1, hidden_units=list(hidden))
        self.compile("adam", "binary_crossentropy", lr)
        self.reset_parameters()
        self.model_to_device()

    def logits(self, X):
        embedded = self.embedding_layer(X)
        return self.fm(X, embedded) + self.mlp(embedded.flatten(start_dim=1))

    def forward(self, inputs):
        return {"y_pred": self.output_activation(self.logits(self.get_inputs(inputs)))}
