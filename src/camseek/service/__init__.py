"""The service: a page and an API over collections, for people and for their own software.

FastAPI and uvicorn come with the extra ``camseek[serve]``; nothing else of camseek imports this room.
"""
