import streamlit as st
st.title('grids'.capitalize())
