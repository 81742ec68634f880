"""What is usually written first: a FastAPI handler that steps a torch.nn model, with the state in its connection.

It answers as `recurra serve` does, over the same WebSocket, and stores nothing.
"""

import sys

import torch
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from torch import nn

import recurra

LIKELIEST = 5


def make_app(run: str) -> FastAPI:
    """The application for a run of a language model."""
    fitted = recurra.load(run).fitted
    tokens, source = fitted.learned.tokens, fitted.network
    embedding, weight, bias = source.embedding, source.weight, source.bias
    layer = nn.LSTM(embedding.embedding_dim, source.recurrent.hidden_size, batch_first=True)
    layer.load_state_dict(source.recurrent.state_dict())
    app = FastAPI()

    @app.websocket("/socket")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        state = None
        try:
            while True:
                message = await socket.receive_json()
                with torch.inference_mode():
                    ids = tokens.encode(message["item"]).ids[None]
                    features, state = layer(embedding(ids), state)
                    probabilities = nn.functional.linear(features[0, -1], weight, bias).softmax(-1)
                    values, indices = probabilities.topk(LIKELIEST)
                spell = tokens.speller(int(ids[0, -1]))
                pairs = zip(values.tolist(), indices.tolist(), strict=True)
                likeliest = [{"text": spell(k), "probability": value} for value, k in pairs]
                await socket.send_json({"step": message["step"], "result": {"next": likeliest}})
        except WebSocketDisconnect:
            return

    return app


if __name__ == "__main__":
    torch.set_num_threads(1)
    uvicorn.run(
        make_app(sys.argv[1]),
        port=int(sys.argv[2]),
        log_level="error",
        ws_per_message_deflate=False,
        ws="websockets-sansio",
    )
